#include "kernels/group_norm/group_norm_kernels.h"
#include "kernels/normalize/normalize.h"

namespace warptape {

void group_norm_sums_cpu(const GroupSums& sums, DType dtype) {
  const auto* of = normalize::SourceTensors::pairs<normalize::Sums>(sums.sums);
  dispatch_floating(dtype, [&]<class T>() {
    using P = Compute<T>;
    const P* weight = normalize::data_or_null<P>(sums.weight);
    if (Tensor means = sums.means; means.defined()) {
      auto* to = normalize::mutable_pairs<normalize::Sums>(means);
      const int64_t width = sums.channels / sums.groups;
      const auto count = static_cast<double>(width * sums.spatial);
      for (int64_t group = 0; group < sums.samples * sums.groups; ++group) {
        normalize::Sums total{};
        for (int64_t i = group * width; i < (group + 1) * width; ++i) {
          const auto w = static_cast<double>(normalize::weight_at(weight, i % sums.channels));
          total = total + normalize::Sums{w * of[i].first, w * of[i].second};
        }
        to[group] = {total.first / count, total.second / count};
      }
    }
    normalize::WantedGradients wanted;
    wanted.of_weight = sums.of_weight;
    wanted.of_bias = sums.of_bias;
    const auto keep = normalize::keeper<T>(wanted, 1);
    for (int64_t c = 0; c < sums.channels; ++c) {
      normalize::Sums total{};
      for (int64_t n = 0; n < sums.samples; ++n) {
        total = total + of[n * sums.channels + c];
      }
      keep(c, c, 0, total);
    }
  });
}

}  // namespace warptape
