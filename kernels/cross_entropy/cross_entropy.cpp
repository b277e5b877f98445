#include "kernels/cross_entropy/cross_entropy.h"

#include <array>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "kernels/cross_entropy/cross_entropy_kernels.h"
#include "kernels/log_softmax/log_softmax.h"
#include "kernels/mean/mean.h"
#include "kernels/nll_loss/nll_loss.h"
#include "kernels/sum/sum.h"
#include "kernels/where/where.h"

namespace warptape {
namespace {

// The loss of each row: log-softmax first, and what labels ignore is left out behind it.
Tensor loss_of_each(const Operand& logits, const Tensor& labels,
                    const CrossEntropyOptions& options) {
  const Tensor log_probabilities = log_softmax(logits, 1);
  const Tensor own = nll_loss(log_probabilities, labels,
                              {.reduction = Reduction::None, .ignore_index = options.ignore_index});
  const double smoothing = options.label_smoothing;
  if (smoothing == 0) {
    return own;
  }
  const auto ignored = static_cast<double>(options.ignore_index);
  const Tensor spread = where(eq(labels, ignored), 0, neg(mean(log_probabilities, {1})));
  return add(mul(own, 1 - smoothing), mul(spread, smoothing));
}

// The sum or the mean of those that labels do not ignore.
Tensor composed(const Operand& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  const Tensor total = sum(loss_of_each(logits, labels, options));
  if (options.reduction == Reduction::Sum) {
    return total;
  }
  const Tensor is_counted = labels != static_cast<double>(options.ignore_index);
  return total / sum(is_counted.to(total.dtype()));
}

void record(Tape& tape, const Operand& logits, const Tensor& rows,
            const CrossEntropyOptions& options, const CrossEntropyState& state, Tensor& loss) {
  const bool has_gradient = state.gradient.defined();
  tape.record(
      "cross_entropy", {&logits}, {&loss},
      [has_gradient, options, counted = state.labels.counted, saved = Saved(logits.tensor()),
       saved_rows = Saved(rows), made = has_gradient ? Saved(state.gradient) : Saved(),
       log_sums = state.log_sums](Backward& context) mutable {
        if (!context.needs(0)) {
          return;
        }
        if (context.creates_graph()) {
          const std::array inputs = {context.input(0, saved.get())};
          context.differentiate(inputs, [&](std::span<const Tensor> in) {
            return composed(in[0], saved_rows.get(), options);
          });
          return;
        }
        if (has_gradient && context.grad_is_one()) {
          context.give(0, context.keeps() ? made.get() : made.release());
          return;
        }
        const Tensor& dy = context.grad();
        const Tensor& of_forward = has_gradient ? made.get() : saved.get();
        const GradientTarget to = context.into(0);
        profile::note([&] { return profile::moved({&dy, &of_forward}, to); });
        on_device(
            "cross_entropy", dy.device(),
            [&] {
              cross_entropy_backward_cpu(dy, of_forward, saved_rows.get(), log_sums, options,
                                         counted, to);
            },
            [&] { cross_entropy_backward_cuda(dy, of_forward, to); });
      },
      Differentiable::Twice);
}

}  // namespace

Tensor cross_entropy(const Operand& logits, const Tensor& labels, CrossEntropyOptions options) {
  check_labels("cross_entropy", "logits", logits, labels);
  check<ValueError>(options.label_smoothing >= 0 && options.label_smoothing <= 1, logits.site(),
                    "[cross_entropy] label_smoothing: got {}, wanted 0 to 1",
                    options.label_smoothing);
  const profile::Range range("cross_entropy");
  if (options.reduction == Reduction::None) {
    return loss_of_each(logits, labels, options);
  }
  const Tensor rows = primitives::relayout(labels, MemoryFormat::RowMajor);
  Tensor loss = Tensor::empty({}, logits.dtype(), logits.device());
  Tape* tape = Tape::recording({&logits});
  CrossEntropyState state;
  on_device(
      "cross_entropy", logits.device(),
      [&] {
        state.log_sums = Tensor::empty(rows.shape(), float64);
        profile::note([&] {
          return profile::moved({&logits.tensor(), &rows}, {&loss, &state.log_sums});
        });
        state.labels = cross_entropy_forward_cpu(logits.tensor(), rows, options, state, loss);
        check_counted("cross_entropy", state.labels, logits.shape()[1], options.ignore_index,
                      logits.site());
      },
      [&] {
        if (tape != nullptr) {
          state.gradient = Tensor::empty_like(logits.tensor());
        }
        profile::note([&] {
          return profile::moved({&logits.tensor(), &rows}, {&loss, &state.gradient});
        });
        cross_entropy_forward_cuda(logits.tensor(), rows, options, state, loss);
      });
  if (tape != nullptr) {
    record(*tape, logits, rows, options, state, loss);
  }
  return loss;
}

}  // namespace warptape
