#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "Config.h"
#include "read_safetensors.h"

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
  std::optional<mx::array>
  get_if(bool wanted, const std::string& name, const mx::Shape& shape) const {
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
    explicit Entry(const mx::array& value) : value(value) {}

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
