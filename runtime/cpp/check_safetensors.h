#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

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
      {"F64", 8},
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
    throw std::runtime_error("has the unknown dtype '" + dtype->string + "'");
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

// Throws unless the entry's part of the data lies within `size` bytes and is as
// long as its shape and dtype say: MLX reads what the header names unchecked.
inline void check_safetensors_entry(const Json& entry, uint64_t size) {
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
    throw std::runtime_error("'" + path + "' is truncated: no whole header");
  }
  std::string text(length, '\0');
  file.read(text.data(), length);
  std::string name = "header";
  try {
    Json header = Json::parse(text);
    if (header.kind != Json::Kind::object) {
      throw std::runtime_error("is not a JSON object");
    }
    for (size_t i = 0; i < header.keys.size(); ++i) {
      name = "'" + header.keys[i] + "'";
      if (header.keys[i] != "__metadata__") {
        check_safetensors_entry(header.list[i], size - 8 - length);
      }
    }
  } catch (const std::runtime_error& error) {
    throw std::runtime_error("'" + path + "': " + name + " " + error.what());
  }
}
