#include "kernels/cross_entropy/cross_entropy_cuda.h"

#include <fmt/format.h>
#include <limits>
#include <map>
#include <mutex>

#include "core/primitives.h"
#include "kernels/cross_entropy/cross_entropy_kernels.h"
#include "kernels/rows/along_dim.h"

namespace warptape {
namespace {

// The code of the report of a bad label: one for each pair of settings that the message names.
int bad_label_code(int64_t classes, int64_t ignore_index) {
  static std::mutex mutex;
  static auto* codes = new std::map<std::pair<int64_t, int64_t>, int>;
  std::lock_guard lock(mutex);
  int& code = (*codes)[{classes, ignore_index}];
  if (code == 0) {
    code = gpu::register_report(
        fmt::format("[cross_entropy] label {{index}}: got {{value}}, wanted 0 to {} or "
                    "ignore_index {}",
                    classes - 1, ignore_index)
            .c_str());
  }
  return code;
}

// The loss, and its gradient unless that is undefined.
void run(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options,
         Tensor& loss, Tensor& gradient) {
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
    T* to = gradient.defined() ? gradient.mutable_data<T>() : nullptr;
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
         .bad_label = bad_label_code(extents.length, options.ignore_index)},
        logits.data<T>(), labels.data<int64_t>(), gpu::report_word(),
        {counters, partials.mutable_data<double>(), states.mutable_data<uint8_t>()},
        loss.mutable_data<T>(), to);
  });
}

}  // namespace

void cross_entropy_cuda(const Operand& logits, const Tensor& labels,
                        const CrossEntropyOptions& options, Tensor& loss, Tape* tape) {
  Tensor gradient = tape ? Tensor::empty_like(logits.tensor()) : Tensor();
  run(logits.tensor(), labels, options, loss, gradient);
  if (tape == nullptr) {
    return;
  }
  tape->record("cross_entropy", {&logits}, {&loss},
               [saved = Saved(gradient)](Backward& context) mutable {
                 if (!context.needs(0)) {
                   return;
                 }
                 if (context.grad_is_one()) {
                   context.give(0, context.keeps() ? saved.get() : saved.release());
                   return;
                 }
                 const Tensor& dy = context.grad();
                 const Tensor& of_one = saved.get();
                 GradientTarget to = context.into(0);
                 dispatch_floating(dy.dtype(), [&]<class T>() {
                   on_cuda::scale_gradient(gpu::current_stream(), of_one.numel(), dy.data<T>(),
                                           of_one.data<T>(), to.buffer.mutable_data<T>(),
                                           to.mode == WriteMode::Accumulate);
                 });
               });
}

}  // namespace warptape
