#include <sstream>
#include <stdexcept>
#include <string>

// Throws std::invalid_argument unless the axis has a multiple of factor, plus a
// rest.
inline void check_multiple(
    const std::string& name,
    const mx::array& x,
    int axis,
    int factor,
    int plus = 0) {
  if (x.shape(axis) % factor == plus) {
    return;
  }
  std::ostringstream message;
  message << name << " has shape (";
  for (size_t i = 0; i < x.ndim(); ++i) {
    message << (i ? ", " : "") << x.shape(static_cast<int>(i));
  }
  message << "): axis " << axis << " must be a multiple of " << factor;
  if (plus) {
    message << " plus " << plus;
  }
  throw std::invalid_argument(message.str());
}
