// The C++ side of cpp_latency.py, which puts the model's namespace in the place
// of MODEL_NAMESPACE and builds this as the project's main.cpp.
//
// Reads "checked N" or "unchecked N" lines; answers each with N pairs of
// microseconds: to build the graph, and to evaluate it. "ops 1" asks for the
// number of the graph's nodes.

#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "mlx/graph_utils.h"
#include "model.h"

namespace mx = mlx::core;
using MODEL_NAMESPACE::Model;
using MODEL_NAMESPACE::nn::Tensors;
using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

std::vector<mx::array> arrays(const Tensors& outputs) {
  std::vector<mx::array> result;
  for (const auto& [name, value] : outputs) {
    result.push_back(value);
  }
  return result;
}

void time_call(const Model& model, const Tensors& inputs) {
  auto start = Clock::now();
  auto outputs = model.run(inputs);
  auto built = Clock::now();
  mx::eval(arrays(outputs));
  auto done = Clock::now();
  std::cout << microseconds(built - start) << " " << microseconds(done - built)
            << " ";
}

int count_ops(const Tensors& outputs) {
  std::ostringstream dot;
  mx::export_to_dot(dot, mx::NodeNamer(), arrays(outputs));
  const std::string text = dot.str(), node = "shape=rectangle";
  int count = 0;
  for (size_t i = text.find(node); i < text.size(); i = text.find(node, i + 1)) {
    ++count;
  }
  return count;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: run WEIGHTS INPUTS" << std::endl;
    return 2;
  }
  const Model checked = Model::load(argv[1]);
  const Model unchecked = Model::load(argv[1], /* check_indices = */ false);
  auto inputs = mx::load_safetensors(argv[2]).first;
  for (auto& [name, value] : inputs) {
    value.eval();
  }
  std::string which;
  int count = 0;
  while (std::cin >> which >> count) {
    if (which == "ops") {
      std::cout << count_ops(unchecked.run(inputs)) << std::endl;
      continue;
    }
    for (int i = 0; i < count; ++i) {
      time_call(which == "checked" ? checked : unchecked, inputs);
    }
    std::cout << std::endl;
  }
  return 0;
}
