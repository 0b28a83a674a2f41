#include <cstdint>
#include <limits>

// A number that takes the dtype of the array it meets, as Python's numbers do:
// a plain C++ number in mx:: would lift float16 and bfloat16 to float32.
class Scalar {
 public:
  explicit Scalar(bool value) : kind_(Kind::boolean), integer_(value) {}
  explicit Scalar(int value) : kind_(Kind::integer), integer_(value) {}
  explicit Scalar(int64_t value) : kind_(Kind::integer), integer_(value) {}
  explicit Scalar(float value) : kind_(Kind::number), number_(value) {}
  explicit Scalar(double value)
      : kind_(Kind::number), number_(static_cast<float>(value)) {}

  // A 0-d array of the dtype that this number has beside `dtype`.
  mx::array like(mx::Dtype dtype) const {
    switch (kind_) {
      case Kind::number:
        return mx::array(
            number_, mx::issubdtype(dtype, mx::floating) ? dtype : mx::float32);
      case Kind::integer:
        return mx::array(integer_, dtype == mx::bool_ ? own_dtype() : dtype);
      default:
        return mx::array(integer_ != 0, dtype);
    }
  }

  mx::array like(const mx::array& x) const {
    return like(x.dtype());
  }

  // A 0-d array of the dtype that this number has alone.
  mx::array alone() const {
    return like(own_dtype());
  }

 private:
  enum class Kind { boolean, integer, number };

  mx::Dtype own_dtype() const {
    if (kind_ == Kind::boolean) {
      return mx::bool_;
    }
    bool small = integer_ >= std::numeric_limits<int>::min() &&
        integer_ <= std::numeric_limits<int>::max();
    return kind_ == Kind::number ? mx::float32 : small ? mx::int32 : mx::int64;
  }

  Kind kind_;
  int64_t integer_ = 0;
  float number_ = 0;
};

// Operators between an array and a number, with the results of Python's.

inline mx::array operator+(const mx::array& a, Scalar b) {
  return mx::add(a, b.like(a));
}

inline mx::array operator+(Scalar a, const mx::array& b) {
  return mx::add(a.like(b), b);
}

inline mx::array operator-(const mx::array& a, Scalar b) {
  return mx::subtract(a, b.like(a));
}

inline mx::array operator-(Scalar a, const mx::array& b) {
  return mx::subtract(a.like(b), b);
}

inline mx::array operator*(const mx::array& a, Scalar b) {
  return mx::multiply(a, b.like(a));
}

inline mx::array operator*(Scalar a, const mx::array& b) {
  return mx::multiply(a.like(b), b);
}

inline mx::array operator/(const mx::array& a, Scalar b) {
  return mx::divide(a, b.like(a));
}

inline mx::array operator/(Scalar a, const mx::array& b) {
  return mx::divide(a.like(b), b);
}

inline mx::array operator%(const mx::array& a, Scalar b) {
  return mx::remainder(a, b.like(a));
}

inline mx::array operator%(Scalar a, const mx::array& b) {
  return mx::remainder(a.like(b), b);
}

inline mx::array operator==(const mx::array& a, Scalar b) {
  return mx::equal(a, b.like(a));
}

inline mx::array operator==(Scalar a, const mx::array& b) {
  return mx::equal(a.like(b), b);
}

inline mx::array operator!=(const mx::array& a, Scalar b) {
  return mx::not_equal(a, b.like(a));
}

inline mx::array operator!=(Scalar a, const mx::array& b) {
  return mx::not_equal(a.like(b), b);
}

inline mx::array operator<(const mx::array& a, Scalar b) {
  return mx::less(a, b.like(a));
}

inline mx::array operator<(Scalar a, const mx::array& b) {
  return mx::less(a.like(b), b);
}

inline mx::array operator<=(const mx::array& a, Scalar b) {
  return mx::less_equal(a, b.like(a));
}

inline mx::array operator<=(Scalar a, const mx::array& b) {
  return mx::less_equal(a.like(b), b);
}

inline mx::array operator>(const mx::array& a, Scalar b) {
  return mx::greater(a, b.like(a));
}

inline mx::array operator>(Scalar a, const mx::array& b) {
  return mx::greater(a.like(b), b);
}

inline mx::array operator>=(const mx::array& a, Scalar b) {
  return mx::greater_equal(a, b.like(a));
}

inline mx::array operator>=(Scalar a, const mx::array& b) {
  return mx::greater_equal(a.like(b), b);
}

inline mx::array operator&(const mx::array& a, Scalar b) {
  return mx::bitwise_and(a, b.like(a));
}

inline mx::array operator&(Scalar a, const mx::array& b) {
  return mx::bitwise_and(a.like(b), b);
}

inline mx::array operator|(const mx::array& a, Scalar b) {
  return mx::bitwise_or(a, b.like(a));
}

inline mx::array operator|(Scalar a, const mx::array& b) {
  return mx::bitwise_or(a.like(b), b);
}

inline mx::array operator^(const mx::array& a, Scalar b) {
  return mx::bitwise_xor(a, b.like(a));
}

inline mx::array operator^(Scalar a, const mx::array& b) {
  return mx::bitwise_xor(a.like(b), b);
}

inline mx::array operator<<(const mx::array& a, Scalar b) {
  return mx::left_shift(a, b.like(a));
}

inline mx::array operator<<(Scalar a, const mx::array& b) {
  return mx::left_shift(a.like(b), b);
}

inline mx::array operator>>(const mx::array& a, Scalar b) {
  return mx::right_shift(a, b.like(a));
}

inline mx::array operator>>(Scalar a, const mx::array& b) {
  return mx::right_shift(a.like(b), b);
}
