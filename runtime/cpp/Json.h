#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  double number = 0; // also an integer
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

  static void
  append_escape(std::string_view text, size_t& at, std::string& out) {
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
