#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "Json.h"

// The hyper-parameters of a model: an object of numbers, booleans, strings and
// lists of numbers. `outer.inner` names a value of a nested object, whose keys
// may hold dots themselves. A value that is absent or of another kind throws
// std::runtime_error with its key.
class Config {
 public:
  Config() = default;

  explicit Config(const std::string& text) : values_(parse(text)) {}

  bool has(const std::string& key) const {
    const Json* value = find(key);
    return value != nullptr && value->kind != Json::Kind::null;
  }

  int integer(const std::string& key) const {
    return to_integer(at(key), key);
  }

  float number(const std::string& key) const {
    return to_number(at(key), key);
  }

  bool boolean(const std::string& key) const {
    const Json& value = at(key);
    return value.kind == Json::Kind::boolean ? value.integer != 0
                                             : fail<bool>(key, "true or false");
  }

  std::string string(const std::string& key) const {
    const Json& value = at(key);
    return value.kind == Json::Kind::string
        ? value.string
        : fail<std::string>(key, "a string");
  }

  std::vector<int> integers(const std::string& key) const {
    std::vector<int> result;
    for (const Json& value : list(key)) {
      result.push_back(to_integer(value, key));
    }
    return result;
  }

  std::vector<float> numbers(const std::string& key) const {
    std::vector<float> result;
    for (const Json& value : list(key)) {
      result.push_back(to_number(value, key));
    }
    return result;
  }

 private:
  static Json parse(const std::string& text) {
    try {
      return Json::parse(text);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(std::string("config is ") + error.what());
    }
  }

  template <typename T>
  static T fail(const std::string& key, const std::string& expected) {
    throw std::runtime_error("config '" + key + "' is not " + expected);
  }

  const Json* find(const std::string& key) const {
    return find(values_, key);
  }

  static const Json* find(const Json& values, const std::string& key) {
    if (const Json* value = values.find(key)) {
      return value;
    }
    for (auto dot = key.find('.'); dot != key.npos;
         dot = key.find('.', dot + 1)) {
      const Json* outer = values.find(key.substr(0, dot));
      const Json* value = outer ? find(*outer, key.substr(dot + 1)) : nullptr;
      if (value != nullptr) {
        return value;
      }
    }
    return nullptr;
  }

  const Json& at(const std::string& key) const {
    const Json* value = find(key);
    if (value == nullptr) {
      throw std::runtime_error("config has no '" + key + "'");
    }
    return *value;
  }

  const std::vector<Json>& list(const std::string& key) const {
    const Json& value = at(key);
    if (value.kind != Json::Kind::list) {
      fail<int>(key, "a list");
    }
    return value.list;
  }

  static int to_integer(const Json& value, const std::string& key) {
    if (value.kind != Json::Kind::integer ||
        value.number < std::numeric_limits<int>::min() ||
        value.number > std::numeric_limits<int>::max()) {
      return fail<int>(key, "a 32-bit integer");
    }
    return static_cast<int>(value.integer);
  }

  static float to_number(const Json& value, const std::string& key) {
    if (value.kind != Json::Kind::integer && value.kind != Json::Kind::number) {
      return fail<float>(key, "a number");
    }
    return static_cast<float>(value.number);
  }

  Json values_;
};
