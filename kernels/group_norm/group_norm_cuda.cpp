#include "kernels/group_norm/group_norm_cuda.h"

#include "kernels/group_norm/group_norm_kernels.h"
#include "kernels/normalize/normalize.h"

namespace warptape {

void group_norm_sums_cuda(const GroupSums& sums, DType dtype) {
  dispatch_floating(dtype, [&]<class T>() {
    using P = Compute<T>;
    Tensor means = sums.means;
    normalize::WantedGradients wanted;
    wanted.of_weight = sums.of_weight;
    wanted.of_bias = sums.of_bias;
    on_cuda::group_norm_sums<P>(
        gpu::current_stream(),
        {.sums = normalize::SourceTensors::pairs<normalize::Sums>(sums.sums),
         .samples = sums.samples,
         .channels = sums.channels,
         .groups = sums.groups,
         .count = static_cast<double>(sums.channels / sums.groups * sums.spatial),
         .weight = normalize::data_or_null<P>(sums.weight),
         .means = means.defined() ? normalize::mutable_pairs<normalize::Sums>(means) : nullptr,
         .keep = normalize::keeper<T>(wanted, 1)});
  });
}

}  // namespace warptape
