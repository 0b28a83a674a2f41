#include <algorithm>

// The joint area of two boxes over the area of both; corners as lower, upper.
inline double box_overlap(const float* one, const float* other) {
  double joint = 1, areas[2] = {1, 1};
  for (int i = 0; i < 2; ++i) {
    double low = std::max(one[i], other[i]);
    double high = std::min(one[i + 2], other[i + 2]);
    joint *= std::max(high - low, 0.0);
    areas[0] *= static_cast<double>(one[i + 2]) - one[i];
    areas[1] *= static_cast<double>(other[i + 2]) - other[i];
  }
  double both = areas[0] + areas[1] - joint;
  return both > 0 ? joint / both : 0;
}
