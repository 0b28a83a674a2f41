#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

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
