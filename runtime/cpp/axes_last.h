#include <vector>

// The order of axes that moves two of them to the end, and the way back.
struct axes_last {
  std::vector<int> order;
  std::vector<int> back;

  axes_last(int rank, int axis1, int axis2) : back(rank) {
    int first = axis1 < 0 ? axis1 + rank : axis1;
    int second = axis2 < 0 ? axis2 + rank : axis2;
    for (int i = 0; i < rank; ++i) {
      if (i != first && i != second) {
        order.push_back(i);
      }
    }
    order.push_back(first);
    order.push_back(second);
    for (int i = 0; i < rank; ++i) {
      back[order[i]] = i;
    }
  }
};
