#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

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
