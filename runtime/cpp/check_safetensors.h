#include <algorithm>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "Json.h"

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
