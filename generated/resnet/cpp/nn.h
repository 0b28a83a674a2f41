// What MLX's C++ lacks of mlx.nn and of torch's operators, as far as the model
// uses it. Functions and layers are named and called as in model.py.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "mlx/mlx.h"

namespace res_net {

namespace mx = mlx::core;

namespace nn {

using Tensors = std::unordered_map<std::string, mx::array>;

// A number that takes the dtype of the array it meets, as Python's numbers do:
// a plain C++ number in mx:: would lift float16 and bfloat16 to float32.
class Scalar {
 public:
  explicit Scalar(bool value)
      : kind_(Kind::boolean),
        integer_(value) {}
  explicit Scalar(int value)
      : kind_(Kind::integer),
        integer_(value) {}
  explicit Scalar(int64_t value)
      : kind_(Kind::integer),
        integer_(value) {}
  explicit Scalar(float value)
      : kind_(Kind::number),
        number_(value) {}
  explicit Scalar(double value)
      : kind_(Kind::number),
        number_(static_cast<float>(value)) {}

  // A 0-d array of the dtype that this number has beside `dtype`.
  mx::array like(mx::Dtype dtype) const {
    switch (kind_) {
      case Kind::number:
        return mx::array(
            number_, mx::issubdtype(dtype, mx::floating) ? dtype : mx::float32);
      case Kind::integer:
        return mx::array(integer_, dtype == mx::bool_ ? own_dtype() : dtype);
      default:
        return mx::array(integer_ != 0, dtype);
    }
  }

  mx::array like(const mx::array& x) const {
    return like(x.dtype());
  }

  // A 0-d array of the dtype that this number has alone.
  mx::array alone() const {
    return like(own_dtype());
  }

 private:
  enum class Kind { boolean, integer, number };

  mx::Dtype own_dtype() const {
    if (kind_ == Kind::boolean) {
      return mx::bool_;
    }
    bool small = integer_ >= std::numeric_limits<int>::min() &&
        integer_ <= std::numeric_limits<int>::max();
    return kind_ == Kind::number ? mx::float32 : small ? mx::int32 : mx::int64;
  }

  Kind kind_;
  int64_t integer_ = 0;
  float number_ = 0;
};

// Operators between an array and a number, with the results of Python's.

inline mx::array operator+(const mx::array& a, Scalar b) {
  return mx::add(a, b.like(a));
}

inline mx::array operator+(Scalar a, const mx::array& b) {
  return mx::add(a.like(b), b);
}

inline mx::array operator-(const mx::array& a, Scalar b) {
  return mx::subtract(a, b.like(a));
}

inline mx::array operator-(Scalar a, const mx::array& b) {
  return mx::subtract(a.like(b), b);
}

inline mx::array operator*(const mx::array& a, Scalar b) {
  return mx::multiply(a, b.like(a));
}

inline mx::array operator*(Scalar a, const mx::array& b) {
  return mx::multiply(a.like(b), b);
}

inline mx::array operator/(const mx::array& a, Scalar b) {
  return mx::divide(a, b.like(a));
}

inline mx::array operator/(Scalar a, const mx::array& b) {
  return mx::divide(a.like(b), b);
}

inline mx::array operator%(const mx::array& a, Scalar b) {
  return mx::remainder(a, b.like(a));
}

inline mx::array operator%(Scalar a, const mx::array& b) {
  return mx::remainder(a.like(b), b);
}

inline mx::array operator==(const mx::array& a, Scalar b) {
  return mx::equal(a, b.like(a));
}

inline mx::array operator==(Scalar a, const mx::array& b) {
  return mx::equal(a.like(b), b);
}

inline mx::array operator!=(const mx::array& a, Scalar b) {
  return mx::not_equal(a, b.like(a));
}

inline mx::array operator!=(Scalar a, const mx::array& b) {
  return mx::not_equal(a.like(b), b);
}

inline mx::array operator<(const mx::array& a, Scalar b) {
  return mx::less(a, b.like(a));
}

inline mx::array operator<(Scalar a, const mx::array& b) {
  return mx::less(a.like(b), b);
}

inline mx::array operator<=(const mx::array& a, Scalar b) {
  return mx::less_equal(a, b.like(a));
}

inline mx::array operator<=(Scalar a, const mx::array& b) {
  return mx::less_equal(a.like(b), b);
}

inline mx::array operator>(const mx::array& a, Scalar b) {
  return mx::greater(a, b.like(a));
}

inline mx::array operator>(Scalar a, const mx::array& b) {
  return mx::greater(a.like(b), b);
}

inline mx::array operator>=(const mx::array& a, Scalar b) {
  return mx::greater_equal(a, b.like(a));
}

inline mx::array operator>=(Scalar a, const mx::array& b) {
  return mx::greater_equal(a.like(b), b);
}

inline mx::array operator&(const mx::array& a, Scalar b) {
  return mx::bitwise_and(a, b.like(a));
}

inline mx::array operator&(Scalar a, const mx::array& b) {
  return mx::bitwise_and(a.like(b), b);
}

inline mx::array operator|(const mx::array& a, Scalar b) {
  return mx::bitwise_or(a, b.like(a));
}

inline mx::array operator|(Scalar a, const mx::array& b) {
  return mx::bitwise_or(a.like(b), b);
}

inline mx::array operator^(const mx::array& a, Scalar b) {
  return mx::bitwise_xor(a, b.like(a));
}

inline mx::array operator^(Scalar a, const mx::array& b) {
  return mx::bitwise_xor(a.like(b), b);
}

inline mx::array operator<<(const mx::array& a, Scalar b) {
  return mx::left_shift(a, b.like(a));
}

inline mx::array operator<<(Scalar a, const mx::array& b) {
  return mx::left_shift(a.like(b), b);
}

inline mx::array operator>>(const mx::array& a, Scalar b) {
  return mx::right_shift(a, b.like(a));
}

inline mx::array operator>>(Scalar a, const mx::array& b) {
  return mx::right_shift(a.like(b), b);
}

// A JSON value, for the header and the metadata of safetensors files.
// Malformed text throws std::runtime_error.
class Json {
 public:
  enum class Kind { null, boolean, integer, number, string, list, object };

  static Json parse(std::string_view text) {
    size_t at = 0;
    Json value = parse_value(text, at, /* depth = */ 0);
    if (skip_space(text, at) != text.size()) {
      fail("text after the value", at);
    }
    return value;
  }

  Kind kind = Kind::null;
  int64_t integer = 0; // also a boolean
  double number = 0;   // also an integer
  std::string string;
  std::vector<Json> list; // also the values of an object
  std::vector<std::string> keys;

  // The value of an object's key, or null.
  const Json* find(std::string_view key) const {
    for (size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] == key) {
        return &list[i];
      }
    }
    return nullptr;
  }

 private:
  [[noreturn]] static void fail(const std::string& what, size_t at) {
    throw std::runtime_error(
        "invalid JSON: " + what + " at byte " + std::to_string(at));
  }

  static size_t skip_space(std::string_view text, size_t& at) {
    at = std::min(text.find_first_not_of(" \t\r\n", at), text.size());
    return at;
  }

  static bool take(std::string_view text, size_t& at, std::string_view word) {
    skip_space(text, at);
    if (text.substr(at, word.size()) != word) {
      return false;
    }
    at += word.size();
    return true;
  }

  static Json parse_value(std::string_view text, size_t& at, int depth) {
    if (depth > 32) {
      fail("nested too deeply", at);
    }
    Json value;
    if (take(text, at, "{")) {
      value.kind = Kind::object;
      parse_items(text, at, "}", value, depth);
    } else if (take(text, at, "[")) {
      value.kind = Kind::list;
      parse_items(text, at, "]", value, depth);
    } else if (take(text, at, "\"")) {
      value.kind = Kind::string;
      value.string = parse_string(text, at);
    } else if (take(text, at, "true")) {
      value.kind = Kind::boolean;
      value.integer = 1;
    } else if (take(text, at, "false")) {
      value.kind = Kind::boolean;
    } else if (!take(text, at, "null")) {
      parse_number(text, at, value);
    }
    return value;
  }

  static void parse_items(
      std::string_view text,
      size_t& at,
      std::string_view end,
      Json& value,
      int depth) {
    if (take(text, at, end)) {
      return;
    }
    do {
      if (value.kind == Kind::object) {
        if (!take(text, at, "\"")) {
          fail("a key was expected", at);
        }
        value.keys.push_back(parse_string(text, at));
        if (!take(text, at, ":")) {
          fail("':' was expected", at);
        }
      }
      value.list.push_back(parse_value(text, at, depth + 1));
    } while (take(text, at, ","));
    if (!take(text, at, end)) {
      fail("',' or '" + std::string(end) + "' was expected", at);
    }
    // Another reader may take the other one of the two.
    auto keys = value.keys;
    std::sort(keys.begin(), keys.end());
    auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) {
      fail("'" + *twice + "' is there twice", at);
    }
  }

  static std::string parse_string(std::string_view text, size_t& at) {
    std::string result;
    while (at < text.size() && text[at] != '"') {
      if (text[at] == '\\') {
        ++at;
        append_escape(text, at, result);
      } else {
        result += text[at++];
      }
    }
    if (at >= text.size()) {
      fail("a string does not end", at);
    }
    ++at;
    return result;
  }

  static void append_escape(
      std::string_view text, size_t& at, std::string& out) {
    static constexpr std::string_view names = "\"\\/bfnrt";
    static constexpr std::string_view values = "\"\\/\b\f\n\r\t";
    char c = at < text.size() ? text[at++] : '\0';
    if (auto i = names.find(c); i != names.npos) {
      out += values[i];
    } else if (c == 'u') {
      append_utf8(parse_code_point(text, at), out);
    } else {
      fail("unknown escape", at);
    }
  }

  static unsigned parse_hex(std::string_view text, size_t& at) {
    unsigned value = 0;
    for (size_t end = at + 4; at < end; ++at) {
      if (at >= text.size() || !std::isxdigit((unsigned char)text[at])) {
        fail("four hex digits were expected", at);
      }
      value = value * 16 + std::stoi(std::string(1, text[at]), nullptr, 16);
    }
    return value;
  }

  static unsigned parse_code_point(std::string_view text, size_t& at) {
    unsigned high = parse_hex(text, at);
    if (high < 0xd800 || high > 0xdfff) {
      return high;
    }
    bool pair = high < 0xdc00 && take(text, at, "\\u");
    unsigned low = pair ? parse_hex(text, at) : 0;
    if (low < 0xdc00 || low > 0xdfff) {
      fail("half of a surrogate pair", at);
    }
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }

  static void append_utf8(unsigned code, std::string& out) {
    int extra = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    out += static_cast<char>(first[extra] | (code >> (6 * extra)));
    for (int i = extra - 1; i >= 0; --i) {
      out += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3f));
    }
  }

  static void parse_number(std::string_view text, size_t& at, Json& value) {
    size_t end = std::min(
        text.find_first_not_of("+-.0123456789eEINafinty", at), text.size());
    std::string digits(text.substr(at, end - at));
    char* stop = nullptr;
    value.number = std::strtod(digits.c_str(), &stop);
    if (digits.empty() || *stop != '\0') {
      fail("a value was expected", at);
    }
    bool whole = digits.find_first_not_of("-0123456789") == digits.npos;
    value.kind = whole ? Kind::integer : Kind::number;
    value.integer = whole ? std::strtoll(digits.c_str(), nullptr, 10) : 0;
    at = end;
  }
};

// The hyper-parameters of a model: an object of numbers, booleans, strings and
// lists of numbers. `outer.inner` names a value of a nested object, whose keys
// may hold dots themselves. A value that is absent or of another kind throws
// std::runtime_error with its key.
class Config {
 public:
  Config() = default;

  explicit Config(const std::string& text)
      : values_(parse(text)) {}

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

// Bytes that a tensor takes by its entry in the header of a safetensors file.
inline uint64_t safetensors_bytes(const Json& entry) {
  static constexpr std::pair<std::string_view, int> sizes[] = {
      {"BOOL", 1},
      {"U8", 1},
      {"I8", 1},
      {"F8_E4M3", 1},
      {"U16", 2},
      {"I16", 2},
      {"F16", 2},
      {"BF16", 2},
      {"U32", 4},
      {"I32", 4},
      {"F32", 4},
      {"U64", 8},
      {"I64", 8},
      {"C64", 8}};
  const Json* dtype = entry.find("dtype");
  const Json* shape = entry.find("shape");
  if (dtype == nullptr || shape == nullptr || shape->kind != Json::Kind::list) {
    throw std::runtime_error("has no dtype or no shape");
  }
  uint64_t bytes = 0;
  for (auto [name, size] : sizes) {
    bytes = name == dtype->string ? size : bytes;
  }
  if (bytes == 0) {
    throw std::runtime_error(
        "has the dtype '" + dtype->string + "', which MLX does not read");
  }
  for (const Json& dim : shape->list) {
    if (dim.kind != Json::Kind::integer || dim.number < 0 ||
        dim.number > INT32_MAX || bytes * dim.number > 1e18) {
      throw std::runtime_error("has an impossible shape");
    }
    bytes *= dim.integer;
  }
  return bytes;
}

// The bytes [begin, end) of the data that the entry of a tensor names. Throws
// unless they lie within `size` bytes and are as many as its shape and dtype
// say: MLX reads what the header names unchecked.
inline std::pair<uint64_t, uint64_t> safetensors_place(
    const Json& entry, uint64_t size) {
  const Json* offsets = entry.find("data_offsets");
  uint64_t bytes = safetensors_bytes(entry);
  if (offsets == nullptr || offsets->list.size() != 2 ||
      offsets->list[0].kind != Json::Kind::integer ||
      offsets->list[1].kind != Json::Kind::integer) {
    throw std::runtime_error("has no data_offsets");
  }
  int64_t begin = offsets->list[0].integer;
  int64_t end = offsets->list[1].integer;
  if (begin < 0 || end < begin || static_cast<uint64_t>(end) > size) {
    throw std::runtime_error("lies beyond the end of the file");
  }
  if (static_cast<uint64_t>(end - begin) != bytes) {
    throw std::runtime_error(
        "takes " + std::to_string(end - begin) + " bytes, its shape needs " +
        std::to_string(bytes));
  }
  return {begin, end};
}

// Throws unless the metadata are strings by name.
inline void check_safetensors_metadata(const Json& metadata) {
  bool fits = metadata.kind == Json::Kind::object ||
      metadata.kind == Json::Kind::null; // what MLX writes for none
  for (const Json& value : metadata.list) {
    fits = fits && value.kind == Json::Kind::string;
  }
  if (!fits) {
    throw std::runtime_error("has values that are not strings");
  }
}

// Throws, with `name` as the tensor that is concerned, unless the header is one
// of `size` bytes of data.
inline void check_safetensors_header(
    const Json& header, uint64_t size, std::string& name) {
  if (header.kind != Json::Kind::object) {
    throw std::runtime_error("is not a JSON object");
  }
  std::vector<std::tuple<uint64_t, uint64_t, std::string>> places;
  for (size_t i = 0; i < header.keys.size(); ++i) {
    name = "'" + header.keys[i] + "'";
    if (header.keys[i] == "__metadata__") {
      check_safetensors_metadata(header.list[i]);
    } else {
      auto [begin, end] = safetensors_place(header.list[i], size);
      places.emplace_back(begin, end, name);
    }
  }
  std::sort(places.begin(), places.end());
  uint64_t last = 0;
  for (const auto& [begin, end, of] : places) {
    name = of;
    if (begin < last) {
      throw std::runtime_error("overlaps with the tensor before it");
    }
    last = end;
  }
}

// Throws std::runtime_error with the path, and with the tensor's name where one
// is concerned, unless the file is a whole and consistent safetensors file.
inline void check_safetensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    throw std::runtime_error("cannot open '" + path + "'");
  }
  uint64_t size = file.tellg();
  file.seekg(0);
  unsigned char prefix[8] = {};
  file.read(reinterpret_cast<char*>(prefix), sizeof(prefix));
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) {
    length = length << 8 | prefix[i];
  }
  if (size < 8 || length > size - 8) {
    throw std::runtime_error(
        "'" + path + "' is truncated or of another format: it has no header");
  }
  std::string text(length, '\0');
  file.read(text.data(), length);
  std::string name = "header";
  try {
    check_safetensors_header(Json::parse(text), size - 8 - length, name);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("'" + path + "': " + name + " " + error.what());
  }
}

// The tensors of a safetensors file by name, and its metadata. All are read
// when this returns, so that threads can share them. Throws std::runtime_error
// with the path where that fails.
inline mx::SafetensorsLoad read_safetensors(const std::string& path) {
  check_safetensors(path);
  try {
    auto loaded = mx::load_safetensors(path);
    std::vector<mx::array> values;
    for (const auto& [name, value] : loaded.first) {
      values.push_back(value);
    }
    mx::eval(values);
    for (mx::array& value : values) {
      value.wait(); // otherwise the first threads that use it each note that
    }
    return loaded;
  } catch (const std::exception& error) {
    throw std::runtime_error("'" + path + "': " + error.what());
  }
}

// The tensors of a model by name, and its hyper-parameters. Cheap to copy: all
// copies share one set, which nothing changes once it is made.
class Weights {
 public:
  using Tensors = std::unordered_map<std::string, mx::array>;

  explicit Weights(
      const Tensors& tensors,
      const std::unordered_map<std::string, std::string>& metadata = {})
      : shared_(std::make_shared<Shared>()) {
    for (const auto& [name, value] : tensors) {
      shared_->entries.try_emplace(name, value);
    }
    if (auto it = metadata.find("config"); it != metadata.end()) {
      shared_->config = Config(it->second);
    }
  }

  // Reads a safetensors file, or weights.safetensors in a folder. All tensors
  // are evaluated here, so that threads can share them afterwards.
  static Weights load(const std::string& path) {
    std::filesystem::path file(path);
    if (std::filesystem::is_directory(file)) {
      file /= "weights.safetensors";
    }
    auto [tensors, metadata] = read_safetensors(file.string());
    return Weights(tensors, metadata);
  }

  bool has(const std::string& name) const {
    return shared_->entries.count(name) != 0;
  }

  // The tensor of that name. Throws std::runtime_error with the name if it is
  // absent or has another shape or dtype; where a float dtype is expected,
  // float32, float16 and bfloat16 are all accepted.
  mx::array get(
      const std::string& name,
      const mx::Shape& shape,
      mx::Dtype dtype = mx::float32) const {
    auto it = shared_->entries.find(name);
    if (it == shared_->entries.end()) {
      throw std::runtime_error(
          "weights have no tensor '" + name + "', expected " +
          describe(dtype, shape));
    }
    const mx::array& value = it->second.value;
    bool floats = is_float(dtype) && is_float(value.dtype());
    if (value.shape() != shape || (value.dtype() != dtype && !floats)) {
      throw std::runtime_error(
          "tensor '" + name + "' is " + describe(value.dtype(), value.shape()) +
          ", expected " + describe(dtype, shape));
    }
    it->second.used.store(true, std::memory_order_relaxed);
    return value;
  }

  // The tensor of that name if it is wanted; for parameters that options of a
  // layer leave out.
  std::optional<mx::array> get_if(
      bool wanted, const std::string& name, const mx::Shape& shape) const {
    return wanted ? std::optional(get(name, shape)) : std::nullopt;
  }

  // The names of the tensors that nobody asked for, sorted.
  std::vector<std::string> unused() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : shared_->entries) {
      if (!entry.used.load(std::memory_order_relaxed)) {
        names.push_back(name);
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  // Hyper-parameters; see Config.
  bool has_config(const std::string& key) const {
    return shared_->config.has(key);
  }

  int integer(const std::string& key) const {
    return shared_->config.integer(key);
  }

  float number(const std::string& key) const {
    return shared_->config.number(key);
  }

  bool boolean(const std::string& key) const {
    return shared_->config.boolean(key);
  }

  std::string string(const std::string& key) const {
    return shared_->config.string(key);
  }

  std::vector<int> integers(const std::string& key) const {
    return shared_->config.integers(key);
  }

  std::vector<float> numbers(const std::string& key) const {
    return shared_->config.numbers(key);
  }

 private:
  struct Entry {
    explicit Entry(const mx::array& value)
        : value(value) {}

    mx::array value;
    mutable std::atomic<bool> used{false};
  };

  struct Shared {
    std::unordered_map<std::string, Entry> entries;
    Config config;
  };

  static bool is_float(mx::Dtype dtype) {
    return dtype == mx::float32 || dtype == mx::float16 ||
        dtype == mx::bfloat16;
  }

  static std::string describe(mx::Dtype dtype, const mx::Shape& shape) {
    std::ostringstream text;
    text << dtype << " (";
    for (size_t i = 0; i < shape.size(); ++i) {
      text << (i == 0 ? "" : ", ") << shape[i];
    }
    text << ")";
    return text.str();
  }

  std::shared_ptr<Shared> shared_;
};

// The last step of a normalization: a factor and an offset for each channel, if
// the layer is affine.
class ScaleShift {
 public:
  ScaleShift(
      const Weights& weights, const std::string& name, int dims, bool affine)
      : weight_(weights.get_if(affine, name + ".weight", {dims})),
        bias_(weights.get_if(affine, name + ".bias", {dims})) {}

  mx::array operator()(const mx::array& x) const {
    return weight_ ? *weight_ * x + *bias_ : x;
  }

  const mx::array& weight() const {
    return *weight_;
  }

  const mx::array& bias() const {
    return *bias_;
  }

 private:
  std::optional<mx::array> weight_;
  std::optional<mx::array> bias_;
};

// torch.nn.BatchNorm1d/2d/3d at inference over x [N, *spatial, C].
class BatchNorm {
 public:
  BatchNorm(
      const Weights& weights,
      const std::string& name,
      int num_features,
      float eps = 1e-5f,
      float /* momentum */ = 0.1f,
      bool affine = true,
      bool track_running_stats = true)
      : mean_(weights.get_if(
            track_running_stats, name + ".running_mean", {num_features})),
        var_(weights.get_if(
            track_running_stats, name + ".running_var", {num_features})),
        scale_shift_(weights, name, num_features, affine),
        eps_(eps) {}

  mx::array operator()(const mx::array& x) const {
    std::vector<int> axes(x.ndim() - 1);
    std::iota(axes.begin(), axes.end(), 0);
    auto mean = mean_ ? *mean_ : mx::mean(x, axes);
    auto var = var_ ? *var_ : mx::var(x, axes);
    return scale_shift_((x - mean) * mx::rsqrt(var + Scalar(eps_)));
  }

  // The weights themselves, where the model reads them.
  const mx::array& weight() const {
    return scale_shift_.weight();
  }

  const mx::array& bias() const {
    return scale_shift_.bias();
  }

 private:
  std::optional<mx::array> mean_;
  std::optional<mx::array> var_;
  ScaleShift scale_shift_;
  float eps_;
};

// A kernel size, stride or padding along N spatial axes: one number for all of
// them, or a list of N.
template <int N>
class Size {
 public:
  Size(int value) {
    values_.fill(value);
  }

  Size(std::initializer_list<int> values)
      : Size(std::vector<int>(values)) {}

  Size(const std::vector<int>& values) {
    if (values.size() != N) {
      throw std::invalid_argument(
          "expected " + std::to_string(N) + " sizes, got " +
          std::to_string(values.size()));
    }
    std::copy(values.begin(), values.end(), values_.begin());
  }

  int operator[](int axis) const {
    return values_[axis];
  }

  operator std::vector<int>() const {
    return {values_.begin(), values_.end()};
  }

  // As mx:: takes it: std::pair for two axes, std::tuple for three.
  auto packed() const {
    if constexpr (N == 2) {
      return std::pair(values_[0], values_[1]);
    } else {
      return std::tuple(values_[0], values_[1], values_[2]);
    }
  }

 private:
  std::array<int, N> values_;
};

// torch's conv2d over x [N, H, W, C] with weight
// [out, kH, kW, in].
inline mx::array conv2d(
    const mx::array& x,
    const mx::array& weight,
    Size<2> stride = 1,
    Size<2> padding = 0,
    Size<2> dilation = 1,
    int groups = 1) {
  return mx::conv2d(
      x, weight, stride.packed(), padding.packed(), dilation.packed(), groups);
}

// torch.nn.Conv2d over x [N, H, W, C].
class Conv2d {
 public:
  Conv2d(
      const Weights& weights,
      const std::string& name,
      int in_channels,
      int out_channels,
      Size<2> kernel_size,
      Size<2> stride = 1,
      Size<2> padding = 0,
      Size<2> dilation = 1,
      int groups = 1,
      bool bias = true)
      : weight_(weights.get(
            name + ".weight",
            {out_channels,
             kernel_size[0],
             kernel_size[1],
             in_channels / groups})),
        bias_(weights.get_if(bias, name + ".bias", {out_channels})),
        stride_(stride),
        padding_(padding),
        dilation_(dilation),
        groups_(groups) {}

  mx::array operator()(const mx::array& x) const {
    auto y = nn::conv2d(x, weight_, stride_, padding_, dilation_, groups_);
    return bias_ ? y + *bias_ : y;
  }

  // The weights themselves, where the model reads them.
  const mx::array& weight() const {
    return weight_;
  }

  const mx::array& bias() const {
    return *bias_;
  }

 private:
  mx::array weight_;
  std::optional<mx::array> bias_;
  Size<2> stride_;
  Size<2> padding_;
  Size<2> dilation_;
  int groups_;
};

// A matrix [rows, columns] in packed integers with a scale and a bias for each
// group of columns: `weight`, `scales` and `biases` beside each other, bits and
// group size from the hyper-parameters, for this matrix or for all.
class QuantizedWeight {
 public:
  QuantizedWeight(
      const Weights& weights, const std::string& name, int rows, int columns)
      : bits_(setting(weights, name, "bits")),
        group_size_(setting(weights, name, "group_size")),
        weight_(weights.get(
            name + ".weight",
            {rows, checked(columns, name) / 32 * bits_},
            mx::uint32)),
        scales_(weights.get(name + ".scales", {rows, columns / group_size_})),
        biases_(weights.get(name + ".biases", {rows, columns / group_size_})) {}

  // Whether the matrix of that module is stored in this form.
  static bool found(const Weights& weights, const std::string& name) {
    return weights.has(name + ".scales");
  }

  // x [..., columns] times the transposed matrix: [..., rows].
  mx::array matmul(const mx::array& x) const {
    return mx::quantized_matmul(
        x,
        weight_,
        scales_,
        biases_,
        /* transpose = */ true,
        group_size_,
        bits_);
  }

  // The rows that `index` names, in full precision: [..., columns].
  mx::array take(const mx::array& index) const {
    return mx::dequantize(
        mx::take(weight_, index, 0),
        mx::take(scales_, index, 0),
        mx::take(biases_, index, 0),
        group_size_,
        bits_);
  }

 private:
  static int setting(
      const Weights& weights, const std::string& name, const std::string& key) {
    auto own = "quantization." + name + "." + key;
    return weights.integer(
        weights.has_config(own) ? own : "quantization." + key);
  }

  int checked(int columns, const std::string& name) const {
    bool groups = group_size_ == 32 || group_size_ == 64 || group_size_ == 128;
    if (bits_ < 2 || bits_ > 8 || bits_ == 7 || !groups ||
        columns % group_size_ != 0) {
      throw std::runtime_error(
          "'" + name + "' cannot have " + std::to_string(bits_) +
          " bits in groups of " + std::to_string(group_size_));
    }
    return columns;
  }

  int bits_;
  int group_size_;
  mx::array weight_;
  mx::array scales_;
  mx::array biases_;
};

// torch.nn.functional.linear: weight is [out, in], bias [out].
inline mx::array affine(
    const mx::array& x,
    const mx::array& weight,
    const std::optional<mx::array>& bias = std::nullopt) {
  auto transposed = mx::transpose(weight);
  return bias ? mx::addmm(*bias, x, transposed) : mx::matmul(x, transposed);
}

// torch.nn.Linear: x [..., input_dims] to [..., output_dims]. Runs quantized
// where the weights are.
class Linear {
 public:
  Linear(
      const Weights& weights,
      const std::string& name,
      int input_dims,
      int output_dims,
      bool bias = true)
      : weight_(read(weights, name, input_dims, output_dims)),
        bias_(weights.get_if(bias, name + ".bias", {output_dims})) {}

  mx::array operator()(const mx::array& x) const {
    if (auto weight = std::get_if<mx::array>(&weight_)) {
      return affine(x, *weight, bias_);
    }
    auto y = std::get<QuantizedWeight>(weight_).matmul(x);
    return bias_ ? y + *bias_ : y;
  }

  // The matrix itself, where the model reads it; then it is not quantized.
  const mx::array& weight() const {
    return std::get<mx::array>(weight_);
  }

  const mx::array& bias() const {
    return *bias_;
  }

 private:
  using Weight = std::variant<mx::array, QuantizedWeight>;

  static Weight read(
      const Weights& weights, const std::string& name, int in, int out) {
    if (QuantizedWeight::found(weights, name)) {
      return QuantizedWeight(weights, name, out, in);
    }
    return weights.get(name + ".weight", {out, in});
  }

  Weight weight_;
  std::optional<mx::array> bias_;
};

// The dilation of a pooling window along each axis; std::nullopt is 1 for all.
class Dilation {
 public:
  Dilation(std::nullopt_t = std::nullopt) {}
  Dilation(std::initializer_list<int> values)
      : values_(values) {}
  Dilation(const std::vector<int>& values)
      : values_(values) {}

  int operator[](int axis) const {
    return values_.empty() ? 1 : values_.at(axis);
  }

 private:
  std::vector<int> values_;
};

// How many windows torch's pooling has along an axis. With ceil_mode the last
// may end outside, if it does not start in the end padding.
inline int window_count(
    int size,
    int kernel,
    int stride,
    int padding,
    int dilation,
    bool ceil_mode) {
  int room = size + 2 * padding - dilation * (kernel - 1) - 1;
  room += ceil_mode ? stride - 1 : 0;
  if (room < 0) {
    return 0;
  }
  int count = room / stride + 1;
  return (count - 1) * stride >= size + padding ? count - 1 : count;
}

// For each place in a pooling window, what all windows along an axis hold.
// The input is padded with the 0-d array `fill`.
inline std::vector<mx::array> window_slices(
    const mx::array& x,
    int axis,
    int kernel,
    int stride,
    int padding,
    int dilation,
    bool ceil_mode,
    const mx::array& fill) {
  axis = axis < 0 ? axis + static_cast<int>(x.ndim()) : axis;
  int size = x.shape(axis);
  int count = window_count(size, kernel, stride, padding, dilation, ceil_mode);
  if (count < 1) {
    throw std::invalid_argument(
        "pooling window of " + std::to_string(kernel) +
        " does not fit into axis " + std::to_string(axis) + " of size " +
        std::to_string(size));
  }
  int stop = (count - 1) * stride + 1;
  int high = std::max(0, stop + dilation * (kernel - 1) - padding - size);
  auto padded = padding == 0 && high == 0
      ? x
      : mx::pad(x, {axis}, {padding}, {high}, mx::astype(fill, x.dtype()));

  mx::Shape starts(x.ndim(), 0);
  mx::Shape steps(x.ndim(), 1);
  mx::Shape stops = padded.shape();
  steps[axis] = stride;
  std::vector<mx::array> slices;
  for (int place = 0; place < kernel; ++place) {
    starts[axis] = place * dilation;
    stops[axis] = starts[axis] + stop;
    slices.push_back(mx::slice(padded, starts, stops, steps));
  }
  return slices;
}

// torch's max_pool1d/2d/3d over x [N, *spatial, C].
inline mx::array max_pool(
    const mx::array& x,
    const std::vector<int>& kernel,
    const std::vector<int>& stride,
    const std::vector<int>& padding,
    const Dilation& dilation = std::nullopt,
    bool ceil_mode = false) {
  int rank = kernel.size();
  auto lowest = mx::issubdtype(x.dtype(), mx::floating)
      ? mx::array(-std::numeric_limits<float>::infinity())
      : mx::array(mx::iinfo(x.dtype()).min);
  auto out = x;
  for (int i = 0; i < rank; ++i) {
    auto slices = window_slices(
        out,
        i - rank - 1,
        kernel[i],
        stride[i],
        padding[i],
        dilation[i],
        ceil_mode,
        lowest);
    out = slices[0];
    for (size_t place = 1; place < slices.size(); ++place) {
      out = mx::maximum(out, slices[place]);
    }
  }
  return out;
}

// torch.nn.MaxPool2d over x [N, H, W, C].
class MaxPool2d {
 public:
  MaxPool2d(
      const Weights&,
      const std::string&,
      Size<2> kernel_size,
      Size<2> stride,
      Size<2> padding = 0)
      : kernel_size_(kernel_size),
        stride_(stride),
        padding_(padding) {}

  // The stride is the kernel's size.
  MaxPool2d(
      const Weights& weights,
      const std::string& name,
      Size<2> kernel_size,
      std::nullopt_t = std::nullopt,
      Size<2> padding = 0)
      : MaxPool2d(weights, name, kernel_size, kernel_size, padding) {}

  mx::array operator()(const mx::array& x) const {
    return max_pool(x, kernel_size_, stride_, padding_);
  }

 private:
  Size<2> kernel_size_;
  Size<2> stride_;
  Size<2> padding_;
};

// Throws std::runtime_error where the weights hold tensors that no part of the
// model asked for: they belong to another model.
inline void check_all_used(const Weights& weights) {
  auto names = weights.unused();
  if (names.empty()) {
    return;
  }
  std::string message = "the weights hold tensors that this model has not:";
  for (const auto& name : names) {
    message += " '" + name + "'";
  }
  throw std::runtime_error(message);
}

// Throws std::invalid_argument unless x has this shape (-1: any size from 1 on)
// and kind of elements: where a float dtype is asked for, every float is
// accepted, and every integer for an integer.
inline void check_input(
    const std::string& name,
    const mx::array& x,
    const std::vector<int>& shape,
    mx::Dtype dtype) {
  bool fits = x.ndim() == shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    int size = x.shape(static_cast<int>(i));
    fits = shape[i] < 0 ? size > 0 : size == shape[i];
  }
  if (!fits) {
    std::ostringstream message;
    message << name << " has shape (";
    for (size_t i = 0; i < x.ndim(); ++i) {
      message << (i ? ", " : "") << x.shape(static_cast<int>(i));
    }
    message << "), expected (";
    for (size_t i = 0; i < shape.size(); ++i) {
      message << (i ? ", " : "");
      shape[i] < 0 ? message << "any" : message << shape[i];
    }
    message << (x.size() == 0 ? "), not empty" : ")");
    throw std::invalid_argument(message.str());
  }
  auto both = [&](const mx::Dtype::Category& kind) {
    return mx::issubdtype(x.dtype(), kind) && mx::issubdtype(dtype, kind);
  };
  if (x.dtype() != dtype && !both(mx::floating) && !both(mx::integer)) {
    std::ostringstream message;
    message << name << " has dtype " << x.dtype() << ", expected " << dtype;
    throw std::invalid_argument(message.str());
  }
}

// Throws std::invalid_argument unless the inputs are exactly the named ones.
inline void check_names(
    const std::unordered_map<std::string, mx::array>& inputs,
    const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (inputs.count(name) == 0) {
      throw std::invalid_argument("the input '" + name + "' is missing");
    }
  }
  for (const auto& [name, value] : inputs) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw std::invalid_argument("the model has no input '" + name + "'");
    }
  }
}

// f(x...), where f is a chain of elementwise ops: as one compiled kernel where
// that pays, which is on a GPU. (On a CPU MLX calls the system's compiler for
// it and gains nothing.) NN_COMPILE=0 and 1 switch it off and on everywhere.
template <typename F, typename... X>
mx::array fuse(F f, const X&... x) {
  static_assert(std::is_empty_v<F>, "a kernel is made once: f holds nothing");
#ifdef NN_COMPILE
  constexpr bool compiles = NN_COMPILE;
#else
  bool compiles = mx::default_device() == mx::Device::gpu;
#endif
  if (!compiles) {
    return f(x...);
  }
  using Arrays = std::vector<mx::array>;
  static const auto kernel = mx::compile(
      std::function<Arrays(const Arrays&)>([](const Arrays& inputs) {
        return [&]<size_t... I>(std::index_sequence<I...>) {
          return Arrays{F()(inputs[I]...)};
        }(std::index_sequence_for<X...>());
      }),
      /* shapeless = */ true);
  return kernel({x...})[0];
}

// The input of that name. Throws std::invalid_argument if it is missing.
inline const mx::array& input(
    const std::unordered_map<std::string, mx::array>& inputs,
    const std::string& name) {
  auto it = inputs.find(name);
  if (it == inputs.end()) {
    throw std::invalid_argument("the input '" + name + "' is missing");
  }
  return it->second;
}

// torch's relu.
inline mx::array relu(const mx::array& x) {
  return mx::maximum(x, Scalar(0).like(x));
}

} // namespace nn

} // namespace res_net
