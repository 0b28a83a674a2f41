#include <stdexcept>
#include <string>
#include <vector>

#include "check_safetensors.h"

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
