#pragma once
#include "core/tape.h"
#include "kernels/gather/gather_plan.h"

namespace warptape {

GatherLoop gather_loop(const Tensor& x, int dim, const Tensor& index, const Tensor& y);
GatherLines gather_lines(const Tensor& dx, int dim, const Tensor& index, const Tensor& dy);

// A place of the index whose value lies outside of x.
struct BadIndex {
  int64_t place = -1;  // in logical order, the first such; -1: none
  int64_t value = 0;
};

BadIndex gather_cpu(const GatherLoop& loop, const Tensor& x, const Tensor& index, Tensor& y);
// A bad index is reported, and becomes 0.
void gather_cuda(const GatherLoop& loop, const Tensor& x, const Tensor& index, Tensor& y);

void gather_backward_cpu(const GatherLines& lines, const Tensor& dy, const Tensor& index,
                         GradientTarget dx);
void gather_backward_cuda(const GatherLines& lines, const Tensor& dy, const Tensor& index,
                          GradientTarget dx);

}  // namespace warptape
