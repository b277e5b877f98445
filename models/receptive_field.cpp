#include "models/receptive_field.h"

#include <algorithm>

#include "core/check.h"
#include "core/checked_size.h"

namespace warptape {
namespace {

constexpr int64_t largest_dilation = int64_t{1} << 28;

int64_t sum_of_reaches(std::span<const DilatedKernel> kernels, int64_t start, int64_t divisor) {
  CheckedSize sum = start;
  for (const DilatedKernel& kernel : kernels) {
    check<ValueError>(kernel.size >= 1, "[receptive_field] kernel size: got {}, wanted 1 or more",
                      kernel.size);
    check<ValueError>(kernel.dilation >= 1, "[receptive_field] dilation: got {}, wanted 1 or more",
                      kernel.dilation);
    const CheckedSize reach = CheckedSize(kernel.size - 1) * kernel.dilation;
    check<ValueError>(reach.fits(), "[receptive_field] kernel size {} with dilation {}: too large",
                      kernel.size, kernel.dilation);
    // "same" leaves an odd zero behind, so that windows reach further there.
    sum = sum + reach.value() / divisor + (reach.value() % divisor == 0 ? 0 : 1);
  }
  check<ValueError>(sum.fits(), "[receptive_field] of {} convolutions: got more than 64 bits hold",
                    kernels.size());
  return sum.value();
}

}  // namespace

int64_t receptive_field(std::span<const DilatedKernel> kernels) {
  return sum_of_reaches(kernels, 1, 1);
}

int64_t look_ahead(std::span<const DilatedKernel> kernels) {
  return sum_of_reaches(kernels, 0, 2);
}

std::vector<int64_t> dilations_of(int64_t base, int64_t depth) {
  check<ValueError>(base >= 1, "[dilations_of] base: got {}, wanted 1 or more", base);
  check<ValueError>(depth >= 1, "[dilations_of] depth: got {}, wanted 1 or more", depth);
  std::vector<int64_t> dilations{1};
  while (static_cast<int64_t>(dilations.size()) < depth) {
    check<ValueError>(dilations.back() <= largest_dilation / base,
                      "[dilations_of] depth: got {} with base {}, wanted dilations of at most {}",
                      depth, base, largest_dilation);
    dilations.push_back(dilations.back() * base);
  }
  return dilations;
}

int64_t least_depth(int64_t length, int64_t kernel_size, int64_t base, int64_t convolutions) {
  check<ValueError>(length >= 1, "[least_depth] length: got {}, wanted 1 or more", length);
  check<ValueError>(base >= 1, "[least_depth] base: got {}, wanted 1 or more", base);
  check<ValueError>(convolutions >= 1, "[least_depth] convolutions: got {}, wanted 1 or more",
                    convolutions);
  check<ValueError>(kernel_size >= (length == 1 ? 1 : 2),
                    "[least_depth] kernel_size: got {} for a length of {}, wanted {} or more",
                    kernel_size, length, length == 1 ? 1 : 2);
  if (length == 1) {
    return 1;
  }
  CheckedSize step = CheckedSize(convolutions) * (kernel_size - 1);
  if (base == 1) {
    return (length - 2) / step.capped() + 1;
  }
  int64_t depth = 1;
  for (int64_t left = length - 1; step.fits() && step.value() < left; ++depth) {
    left -= step.value();
    step = step * base;
  }
  return depth;
}

Coverage coverage_of(int64_t t, int64_t length, int64_t field, int64_t ahead) {
  check<ValueError>(length >= 1, "[coverage_of] length: got {}, wanted 1 or more", length);
  check<ValueError>(field >= 1, "[coverage_of] field: got {}, wanted 1 or more", field);
  check<ValueError>(t >= 0 && t < length, "[coverage_of] t: got {}, wanted 0 to {}", t, length - 1);
  check<ValueError>(ahead >= 0 && ahead < field, "[coverage_of] ahead: got {}, wanted 0 to {}",
                    ahead, field - 1);
  const int64_t before = std::min(t, field - 1 - ahead);
  const int64_t after = std::min(length - 1 - t, ahead);
  const int64_t elements = before + 1 + after;
  return {elements, field - elements};
}

}  // namespace warptape
