#pragma once
#include "core/tape.h"

namespace warptape {

// The sums of each channel of each sample (pairs of doubles, (N, C)) make those of groups, and
// those of all samples. What is undefined is not wanted.
struct GroupSums {
  Tensor sums;
  int64_t samples = 0;
  int64_t channels = 0;
  int64_t groups = 0;
  int64_t spatial = 0;  // elements of a channel
  Tensor weight{};
  Tensor means{};              // (N, groups): sums times weight, over the elements of a group
  GradientTarget of_weight{};  // the second sums
  GradientTarget of_bias{};    // the first ones
};

void group_norm_sums_cpu(const GroupSums& sums, DType dtype);
void group_norm_sums_cuda(const GroupSums& sums, DType dtype);

}  // namespace warptape
