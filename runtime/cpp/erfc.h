#include "Scalar.h"

// torch.erfc in float32, accurate where 1 - mx::erf(x) has no digits left:
// erfc(z) = t * exp(p(t) - z**2) for t = 2 / (2 + z), with p fitted for z >= 0.
inline mx::array erfc(const mx::array& x) {
  auto z = mx::astype(mx::abs(x), mx::float32);
  auto t = Scalar(2) / (Scalar(2) + z);
  auto p = mx::zeros_like(t);
  for (float c :
       {0.162646623f,
        -0.776841972f,
        1.38132508f,
        -0.992934948f,
        0.162785195f,
        -0.126318131f,
        0.0773298814f,
        0.377876145f,
        0.999627613f,
        -1.26549543f}) {
    p = p * t + Scalar(c);
  }
  auto tail = t * mx::exp(p - z * z);
  auto out = mx::where(x < Scalar(0), Scalar(2) - tail, tail);
  return mx::astype(out, x.dtype());
}
