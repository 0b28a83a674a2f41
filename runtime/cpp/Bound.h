#include <optional>

#include "Scalar.h"

// A limit for clip: an array, a number, or std::nullopt for none.
class Bound {
 public:
  Bound(std::nullopt_t) {}
  Bound(Scalar number) : number_(number) {}
  Bound(const mx::array& array) : array_(array) {}
  Bound(const std::optional<mx::array>& array) : array_(array) {}

  // The limit as an array beside x.
  std::optional<mx::array> like(const mx::array& x) const {
    return number_ ? number_->like(x) : array_;
  }

 private:
  std::optional<Scalar> number_;
  std::optional<mx::array> array_;
};
