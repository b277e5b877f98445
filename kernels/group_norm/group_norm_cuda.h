#pragma once
#include "core/device/gpu.h"
#include "kernels/normalize/arithmetic.h"

namespace warptape::on_cuda {

// GroupSums as pointers; nullptr for what is not wanted.
template <class P>
struct GroupSumPointers {
  const normalize::Sums* sums;
  int64_t samples;
  int64_t channels;
  int64_t groups;
  double count;  // elements of a group
  const P* weight;
  normalize::Sums* means;
  normalize::KeepGradients<P> keep;  // of all samples' sums of a channel

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(sums);
    visit(weight);
    visit(means);
    keep.for_each_pointer(visit);
  }
};

template <class P>
void group_norm_sums(gpu::StreamHandle stream, const GroupSumPointers<P>& of);

}  // namespace warptape::on_cuda
