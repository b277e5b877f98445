#pragma once
// Sizes are computed from options and files, whose numbers may be anything: arithmetic that
// remembers that it left 64 bits.
//
//   const CheckedSize span = CheckedSize(dilation) * (kernel - 1) + 1;
//   check<ValueError>(span.fits(), site, "[conv2d] dilation: got {}, ...", dilation);

#include <cstdint>
#include <limits>

namespace warptape {

class CheckedSize {
 public:
  constexpr CheckedSize(int64_t value) : value_(value) {}

  constexpr bool fits() const { return fits_; }
  constexpr int64_t value() const { return value_; }  // of no use unless it fits
  // For estimates, such as the cost of a loop, which need not be exact.
  constexpr int64_t capped() const { return fits_ ? value_ : std::numeric_limits<int64_t>::max(); }

  friend constexpr CheckedSize operator+(CheckedSize a, CheckedSize b) {
    const bool overflows = __builtin_add_overflow(a.value_, b.value_, &a.value_);
    return a.joined(b, overflows);
  }
  friend constexpr CheckedSize operator-(CheckedSize a, CheckedSize b) {
    const bool overflows = __builtin_sub_overflow(a.value_, b.value_, &a.value_);
    return a.joined(b, overflows);
  }
  friend constexpr CheckedSize operator*(CheckedSize a, CheckedSize b) {
    const bool overflows = __builtin_mul_overflow(a.value_, b.value_, &a.value_);
    return a.joined(b, overflows);
  }

 private:
  constexpr CheckedSize joined(CheckedSize other, bool overflows) const {
    CheckedSize result = *this;
    result.fits_ = fits_ && other.fits_ && !overflows;
    return result;
  }

  int64_t value_;
  bool fits_ = true;
};

}  // namespace warptape
