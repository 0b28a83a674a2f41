// Reads one request a line, token ids, and answers with the token that the
// model thinks comes next. A pool of workers shares one model.
//
//   echo "1 5 7" | server path/to/weights.safetensors [workers]

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <future>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "model.h"
#include "worker_pool.h"

namespace {

namespace mx = mlx::core;
using llama_for_causal_lm::Model;

std::vector<int> read_ids(const std::string& line) {
  std::istringstream text(line);
  std::vector<int> ids;
  for (int id; text >> id;) {
    ids.push_back(id);
  }
  if (ids.empty() || !text.eof()) {
    throw std::invalid_argument("a line must hold token ids");
  }
  return ids;
}

// Everything that MLX does for a request happens in the worker's thread, on
// its own stream; what leaves it is a plain number.
int next_token(const Model& model, const std::vector<int>& ids) {
  int length = static_cast<int>(ids.size());
  mx::array input(ids.data(), {1, length}, mx::int32);
  mx::array logits = model(input);
  mx::array last = mx::take(logits, length - 1, 1);
  return mx::argmax(last).item<uint32_t>();
}

std::string answer(const Model& model, const std::string& line) {
  try {
    return std::to_string(next_token(model, read_ids(line)));
  } catch (const std::exception& error) {
    return std::string("error: ") + error.what();
  }
}

void serve(const std::string& weights, int workers) {
  const Model model = Model::load(weights);
  mx::set_cache_limit(64 << 20); // memory that MLX keeps for reuse
  WorkerPool pool(workers);
  std::vector<std::future<std::string>> answers;
  for (std::string line; std::getline(std::cin, line);) {
    answers.push_back(
        pool.submit([&model, line] { return answer(model, line); }));
  }
  for (auto& each : answers) {
    std::cout << each.get() << '\n';
  }
}

} // namespace

int main(int argc, char** argv) {
  int cores = static_cast<int>(std::thread::hardware_concurrency());
  int workers = argc == 3 ? std::atoi(argv[2]) : std::max(cores, 1);
  if (argc < 2 || argc > 3 || workers < 1 || workers > 256) {
    std::cerr << "usage: server WEIGHTS [WORKERS, 1 to 256] < requests\n";
    return 2;
  }
  try {
    serve(argv[1], workers);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "server: " << error.what() << '\n';
    return 1;
  }
}
