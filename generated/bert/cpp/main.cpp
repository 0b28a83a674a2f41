// Runs the model on the requests of a file and measures it; see README.md.

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <latch>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "model.h"

namespace {

namespace mx = mlx::core;
using bert_model::Model;
using Tensors = std::unordered_map<std::string, mx::array>;
using Clock = std::chrono::steady_clock;

// ---- arguments

constexpr std::string_view usage =
    "usage: run --weights W --input FILE --output FILE\n"
    "           [--repeat N] [--threads T] [--warmup K]\n"
    "           [--unchecked] [--json]\n"
    "\n"
    "  --weights W    weights.safetensors, or the folder that holds it\n"
    "  --input FILE   safetensors with the inputs by name; several requests\n"
    "                 are numbered: 0.NAME, 1.NAME, ...\n"
    "  --output FILE  safetensors for the outputs, named likewise\n"
    "  --repeat N     timed calls of each request in each thread (1; 0: none)\n"
    "  --threads T    threads that share the model (1)\n"
    "  --warmup K     calls of each request in each thread before that (1)\n"
    "  --unchecked    do not check that indices lie within their tables\n"
    "  --json         print the measurements as one JSON object\n";

// Arguments that cannot be used: exit status 2.
struct BadArguments : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Options {
  std::string weights;
  std::string input;
  std::string output;
  int repeat = 1;
  int threads = 1;
  int warmup = 1;
  bool unchecked = false;
  bool json = false;
  bool help = false;
};

int parse_number(
    const std::string& flag, const std::string& text, int low, int high) {
  int value = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value < low || value > high) {
    throw BadArguments(
        flag + " takes a number from " + std::to_string(low) + " to " +
        std::to_string(high) + ", not '" + text + "'");
  }
  return value;
}

void set_option(
    Options& options, const std::string& flag, const std::string& value) {
  if (flag == "--weights") {
    options.weights = value;
  } else if (flag == "--input") {
    options.input = value;
  } else if (flag == "--output") {
    options.output = value;
  } else if (flag == "--repeat") {
    options.repeat = parse_number(flag, value, 0, 1'000'000'000);
  } else if (flag == "--threads") {
    options.threads = parse_number(flag, value, 1, 1024);
  } else if (flag == "--warmup") {
    options.warmup = parse_number(flag, value, 0, 1'000'000'000);
  } else {
    throw BadArguments("unknown argument '" + flag + "' (--help lists them)");
  }
}

Options parse_options(const std::vector<std::string>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& flag = arguments[i];
    if (flag == "--help") {
      options.help = true;
      return options;
    }
    if (flag == "--json" || flag == "--unchecked") {
      (flag == "--json" ? options.json : options.unchecked) = true;
      continue;
    }
    if (i + 1 == arguments.size()) {
      throw BadArguments("'" + flag + "' needs a value, or is unknown");
    }
    set_option(options, flag, arguments[++i]);
  }
  for (auto [flag, value] : {
           std::pair("--weights", options.weights),
           std::pair("--input", options.input),
           std::pair("--output", options.output),
       }) {
    if (value.empty()) {
      throw BadArguments(std::string(flag) + " is missing (see --help)");
    }
  }
  if (!options.output.ends_with(".safetensors")) { // MLX would append it
    throw BadArguments("--output must end with .safetensors");
  }
  return options;
}

// ---- requests

struct Request {
  std::string prefix; // of its names in the files: "" or "3."
  Tensors inputs;
  Tensors expected;
};

// The number before the first dot, or -1 for a name without one.
int request_number(const std::string& name) {
  int number = -1;
  std::from_chars(name.data(), name.data() + name.size(), number);
  bool numbered = number >= 0 && name.starts_with(std::to_string(number) + ".");
  return numbered ? number : -1;
}

std::vector<Request> read_requests(const std::string& path) {
  std::map<int, Request> found;
  for (auto& [name, value] : bert_model::nn::read_safetensors(path).first) {
    int number = request_number(name);
    std::string prefix = number < 0 ? "" : std::to_string(number) + ".";
    Request& request = found[number];
    request.prefix = prefix;
    request.inputs.insert_or_assign(name.substr(prefix.size()), value);
  }
  if (found.contains(-1) && found.size() > 1) {
    throw std::runtime_error(
        "some inputs have the number of a request, some have none");
  }
  if (found.empty()) { // a model without inputs
    found[-1];
  }
  std::vector<Request> requests;
  for (auto& [number, request] : found) {
    requests.push_back(std::move(request));
  }
  return requests;
}

Tensors call(const Model& model, const Tensors& inputs) {
  Tensors outputs = model.run(inputs);
  std::vector<mx::array> arrays;
  for (const auto& [name, value] : outputs) {
    arrays.push_back(value);
  }
  mx::eval(std::move(arrays));
  return outputs;
}

// The same array with its elements in order in memory.
mx::array in_order(const mx::array& value) {
  if (value.flags().row_contiguous) {
    return value;
  }
  mx::array result = mx::contiguous(value);
  result.eval();
  return result;
}

bool same_bits(const mx::array& a, const mx::array& b) {
  mx::array ordered = in_order(a);
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
      std::memcmp(ordered.data<char>(), b.data<char>(), b.nbytes()) == 0;
}

void check_same(const Request& request, const Tensors& outputs, int thread) {
  for (const auto& [name, value] : request.expected) {
    if (!same_bits(outputs.at(name), value)) {
      throw std::runtime_error(
          "output '" + request.prefix + name + "' of thread " +
          std::to_string(thread) + " differs from that of the first call");
    }
  }
}

// The first call of each request: its outputs are those that are written and
// that all later ones are compared with.
void fill_expected(const Model& model, std::vector<Request>& requests) {
  for (Request& request : requests) {
    try {
      for (const auto& [name, value] : call(model, request.inputs)) {
        request.expected.insert_or_assign(name, in_order(value));
      }
    } catch (const std::exception& error) {
      std::string where = "request " + request.prefix;
      where.back() = ':';
      throw std::runtime_error(
          (request.prefix.empty() ? "" : where + " ") + error.what());
    }
  }
}

void write_outputs(
    const std::string& path, const std::vector<Request>& requests) {
  Tensors all;
  for (const Request& request : requests) {
    for (const auto& [name, value] : request.expected) {
      all.insert_or_assign(request.prefix + name, value);
    }
  }
  try {
    mx::save_safetensors(path, all);
  } catch (const std::exception& error) {
    throw std::runtime_error("'" + path + "': " + error.what());
  }
}

// ---- measurement

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start)
      .count();
}

// The most memory that the process has had so far, in megabytes. Linux counts
// that of the process which started this one into ru_maxrss, so it is asked in
// another way there.
double peak_megabytes() {
#ifdef __linux__
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) {
      return std::atof(line.c_str() + 6) / 1024;
    }
  }
#endif
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return usage.ru_maxrss / 1048576.0;
#else
  return usage.ru_maxrss / 1024.0;
#endif
}

using Times = std::vector<std::vector<double>>; // milliseconds, by request

struct Measurement {
  Times times;
  double wall_milliseconds = 0;
  double warm_megabytes = 0; // peak before the timed calls
};

// One thread's calls. Threads begin with different requests, so that requests
// of different sizes run side by side.
void call_all(
    const Model& model,
    const std::vector<Request>& requests,
    int rounds,
    int thread,
    const std::atomic<bool>& stop,
    Times* times) {
  for (size_t i = 0; i < rounds * requests.size() && !stop; ++i) {
    size_t number = (i + thread) % requests.size();
    const Request& request = requests[number];
    auto start = Clock::now();
    Tensors outputs = call(model, request.inputs);
    if (times != nullptr) {
      (*times)[number].push_back(milliseconds_since(start));
    }
    check_same(request, outputs, thread);
  }
}

// Runs a fixed pool of threads on the one model. Each has its own stream: MLX
// makes a default one for each thread that computes. The first exception of
// any thread ends all of them and is thrown here.
Measurement measure(
    const Model& model,
    const std::vector<Request>& requests,
    const Options& options) {
  std::vector<Times> times(options.threads, Times(requests.size()));
  std::atomic<bool> stop = false;
  std::exception_ptr error;
  auto guarded = [&](auto&& work) {
    try {
      work();
    } catch (...) {
      if (!stop.exchange(true)) {
        error = std::current_exception();
      }
    }
  };
  std::latch warm(options.threads + 1);
  auto work = [&](int thread) {
    guarded([&] {
      call_all(model, requests, options.warmup, thread, stop, nullptr);
    });
    warm.arrive_and_wait();
    guarded([&] {
      call_all(model, requests, options.repeat, thread, stop, &times[thread]);
    });
  };

  std::vector<std::thread> pool;
  guarded([&] {
    for (int thread = 0; thread < options.threads; ++thread) {
      pool.emplace_back(work, thread);
    }
  });
  warm.count_down(options.threads - pool.size()); // those that did not start
  warm.arrive_and_wait();
  Measurement result;
  result.warm_megabytes = peak_megabytes();
  auto start = Clock::now();
  for (std::thread& thread : pool) {
    thread.join();
  }
  result.wall_milliseconds = milliseconds_since(start);
  if (error) {
    std::rethrow_exception(error);
  }

  result.times.resize(requests.size());
  for (const Times& of_thread : times) {
    for (size_t i = 0; i < requests.size(); ++i) {
      auto& all = result.times[i];
      all.insert(all.end(), of_thread[i].begin(), of_thread[i].end());
    }
  }
  return result;
}

struct Summary {
  size_t calls;
  double median;
  double p90;
};

Summary summarize(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  size_t n = times.size();
  double median = (times[(n - 1) / 2] + times[n / 2]) / 2;
  return {n, median, times[(n * 9 + 9) / 10 - 1]};
}

Summary summarize_all(const Times& times) {
  std::vector<double> all;
  for (const auto& of_request : times) {
    all.insert(all.end(), of_request.begin(), of_request.end());
  }
  return summarize(std::move(all));
}

void print_text(const Measurement& measured, const Options& options) {
  auto [calls, median, p90] = summarize_all(measured.times);
  std::printf(
      "%zu calls of %zu requests in %d threads\n"
      "median %.3f ms, p90 %.3f ms, %.1f calls/s\n",
      calls,
      measured.times.size(),
      options.threads,
      median,
      p90,
      1000 * calls / measured.wall_milliseconds);
}

void print_summary(const Summary& summary) {
  std::printf(
      "\"calls\": %zu, \"median_ms\": %.6g, \"p90_ms\": %.6g",
      summary.calls,
      summary.median,
      summary.p90);
}

void print_json(const Measurement& measured, const Options& options) {
  Summary summary = summarize_all(measured.times);
  std::printf("{");
  print_summary(summary);
  std::printf(
      ", \"calls_per_second\": %.6g, \"threads\": %d, "
      "\"warm_megabytes\": %.1f, \"peak_megabytes\": %.1f, \"requests\": [",
      1000 * summary.calls / measured.wall_milliseconds,
      options.threads,
      measured.warm_megabytes,
      std::max(measured.warm_megabytes, peak_megabytes())); // counted coarsely
  for (size_t i = 0; i < measured.times.size(); ++i) {
    std::printf(i == 0 ? "{" : ", {");
    print_summary(summarize(measured.times[i]));
    std::printf("}");
  }
  std::printf("]}\n");
}

void run(const Options& options) {
  const Model model =
      Model::load(options.weights, /* check_indices = */ !options.unchecked);
  std::vector<Request> requests = read_requests(options.input);
  fill_expected(model, requests);
  write_outputs(options.output, requests);
  if (options.repeat > 0) {
    Measurement measured = measure(model, requests, options);
    (options.json ? print_json : print_text)(measured, options);
  }
}

// Messages of several lines become one, and names in them do not steer the
// terminal.
int fail(std::string message, int status) {
  auto steers = [](unsigned char c) { return c < 32 || c == 127; };
  std::replace_if(message.begin(), message.end(), steers, ' ');
  std::cerr << "run: " << message << std::endl;
  return status;
}

} // namespace

int main(int argc, char** argv) {
  try {
    Options options = parse_options({argv + 1, argv + argc});
    if (options.help) {
      std::cout << usage;
    } else {
      run(options);
    }
    return 0;
  } catch (const BadArguments& error) {
    return fail(error.what(), 2);
  } catch (const std::exception& error) {
    return fail(error.what(), 1);
  } catch (...) {
    return fail("unknown error", 1);
  }
}
