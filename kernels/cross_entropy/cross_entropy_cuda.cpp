#include "kernels/cross_entropy/cross_entropy_cuda.h"

#include <limits>

#include "core/primitives.h"
#include "kernels/cross_entropy/cross_entropy_kernels.h"
#include "kernels/rows/along_dim.h"

namespace warptape {

void cross_entropy_forward_cuda(const Tensor& logits, const Tensor& labels,
                                const CrossEntropyOptions& options, CrossEntropyState& state,
                                Tensor& loss) {
  const bool mean = options.reduction == Reduction::Mean;
  const int64_t count = labels.numel();
  if (count == 0) {
    primitives::fill(loss, mean ? std::numeric_limits<double>::quiet_NaN() : 0);
    return;
  }
  const gpu::StreamHandle stream = gpu::current_stream();
  const rows::Extents extents =
      logits.numel() > 0 ? extents_along(logits, 1) : rows::Extents{.outer = count, .length = 0};
  dispatch_floating(logits.dtype(), [&]<class T>() {
    T* to = state.gradient.defined() ? state.gradient.mutable_data<T>() : nullptr;
    const rows::Plan plan =
        rows::plan_of<T>(extents, {logits.data<T>(), to}, rows::Blocks::AsRunAtOnce);
    constexpr auto counter_words =
        static_cast<int64_t>(sizeof(on_cuda::CrossEntropyCounters) / sizeof(int64_t));
    Tensor counter_memory = Tensor::empty({counter_words}, int64, logits.device());
    using Workspace = on_cuda::CrossEntropyWorkspace;
    Tensor partials = Tensor::empty({Workspace::partial_sums(plan)}, float64, logits.device());
    Tensor states = Tensor::empty({plan.states() * Workspace::state_bytes}, uint8, logits.device());
    auto* counters =
        reinterpret_cast<on_cuda::CrossEntropyCounters*>(counter_memory.mutable_data<int64_t>());
    const bool counts_first = mean && count > on_cuda::most_counted_by_blocks;
    if (plan.blocks * plan.chunks > 1 || counts_first) {
      gpu::fill_bytes(counters, 0, sizeof *counters, stream);
    }
    if (counts_first) {
      on_cuda::count_labels(stream, labels.data<int64_t>(), count, options.ignore_index, counters);
    }
    on_cuda::cross_entropy(
        stream, plan,
        {.rows = count,
         .classes = extents.length,
         .ignore_index = options.ignore_index,
         .smoothing = options.label_smoothing,
         .mean = mean,
         .bad_label = bad_label_code("cross_entropy", extents.length, options.ignore_index)},
        logits.data<T>(), labels.data<int64_t>(), gpu::report_word(),
        {counters, partials.mutable_data<double>(), states.mutable_data<uint8_t>()},
        loss.mutable_data<T>(), to);
  });
}

void cross_entropy_backward_cuda(const Tensor& dy, const Tensor& of_one, GradientTarget dlogits) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    on_cuda::scale_gradient(gpu::current_stream(), of_one.numel(), dy.data<T>(), of_one.data<T>(),
                            dlogits.buffer.mutable_data<T>(),
                            dlogits.mode == WriteMode::Accumulate);
  });
}

}  // namespace warptape
