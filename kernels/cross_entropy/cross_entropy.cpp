#include "kernels/cross_entropy/cross_entropy.h"

#include <limits>

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "kernels/cross_entropy/cross_entropy_kernels.h"

namespace warptape {
namespace {

void check_arguments(const Operand& logits, const Tensor& labels,
                     const CrossEntropyOptions& options) {
  check_floating("cross_entropy", logits);
  const Site& site = logits.site();
  check<ShapeError>(logits.rank() >= 2, site,
                    "[cross_entropy] logits: got shape {}, wanted (N, C) or (N, C, d1, ...)",
                    logits.shape());
  check<ShapeError>(logits.shape()[1] <= std::numeric_limits<int>::max(), site,
                    "[cross_entropy] logits: got {} classes, wanted at most {}", logits.shape()[1],
                    std::numeric_limits<int>::max());
  Shape wanted{logits.shape()[0]};
  for (int d = 2; d < logits.rank(); ++d) {
    wanted.append(logits.shape()[d]);
  }
  check<ShapeError>(labels.defined() && labels.shape() == wanted, site,
                    "[cross_entropy] labels: got shape {}, wanted {} for logits {}", labels.shape(),
                    wanted, logits.shape());
  check<DTypeError>(labels.dtype() == int64, site, "[cross_entropy] labels: got {}, wanted int64",
                    to_string(labels.dtype()));
  check<DeviceError>(labels.device() == logits.device(), site,
                     "[cross_entropy] devices: got {} and {}, wanted one device",
                     to_string(logits.device()), to_string(labels.device()));
  check<ValueError>(options.label_smoothing >= 0 && options.label_smoothing <= 1, site,
                    "[cross_entropy] label_smoothing: got {}, wanted 0 to 1",
                    options.label_smoothing);
}

void run_on_cpu(const Operand& logits, const Tensor& labels, const CrossEntropyOptions& options,
                Tensor& loss, Tape* tape) {
  Tensor log_sums = Tensor::empty(labels.shape(), float64);
  const CrossEntropyResult result =
      cross_entropy_forward_cpu(logits.tensor(), labels, options, log_sums, loss);
  check<ValueError>(result.bad_row < 0, logits.site(),
                    "[cross_entropy] label {}: got {}, wanted 0 to {} or ignore_index {}",
                    result.bad_row, result.bad_label, logits.shape()[1] - 1, options.ignore_index);
  if (tape == nullptr) {
    return;
  }
  tape->record(
      "cross_entropy", {&logits}, {&loss},
      [saved_logits = Saved(logits.tensor()), saved_labels = Saved(labels),
       saved_log_sums = Saved(log_sums), options, counted = result.counted](Backward& context) {
        if (context.needs(0)) {
          cross_entropy_backward_cpu(context.grad(), saved_logits.get(), saved_labels.get(),
                                     saved_log_sums.get(), options, counted, context.into(0));
        }
      });
}

}  // namespace

Tensor cross_entropy(const Operand& logits, const Tensor& labels, CrossEntropyOptions options) {
  check_arguments(logits, labels, options);
  const profile::Range range("cross_entropy");
  const Tensor rows = primitives::relayout(labels, MemoryFormat::RowMajor);
  Tensor loss = Tensor::empty({}, logits.dtype(), logits.device());
  Tape* tape = Tape::recording({&logits});
  on_device(
      "cross_entropy", logits.device(), [&] { run_on_cpu(logits, rows, options, loss, tape); },
      [&] { cross_entropy_cuda(logits, rows, options, loss, tape); });
  return loss;
}

}  // namespace warptape
