#include "kernels/losses/labels.h"

#include <limits>

#include "core/check.h"

namespace warptape {

void check_labels(const char* op, const char* what, const Operand& scores, const Tensor& labels) {
  check_floating(op, scores);
  const Site& site = scores.site();
  check<ShapeError>(scores.rank() >= 2, site,
                    "[{}] {}: got shape {}, wanted (N, C) or (N, C, d1, ...)", op, what,
                    scores.shape());
  check<ShapeError>(scores.shape()[1] <= std::numeric_limits<int>::max(), site,
                    "[{}] {}: got {} classes, wanted at most {}", op, what, scores.shape()[1],
                    std::numeric_limits<int>::max());
  Shape wanted{scores.shape()[0]};
  for (int d = 2; d < scores.rank(); ++d) {
    wanted.append(scores.shape()[d]);
  }
  check<ShapeError>(labels.defined() && labels.shape() == wanted, site,
                    "[{}] labels: got shape {}, wanted {} for {} {}", op, labels.shape(), wanted,
                    what, scores.shape());
  check<DTypeError>(labels.dtype() == int64, site, "[{}] labels: got {}, wanted int64", op,
                    to_string(labels.dtype()));
  check<DeviceError>(labels.device() == scores.device(), site,
                     "[{}] devices: got {} and {}, wanted one device", op,
                     to_string(scores.device()), to_string(labels.device()));
}

CountedLabels count_labels(const Tensor& labels, int64_t classes, int64_t ignore_index) {
  CountedLabels result;
  const int64_t* label = labels.data<int64_t>();
  for (int64_t row = 0; row < labels.numel(); ++row) {
    const bool ignored = label[row] == ignore_index;
    if (!ignored && (label[row] < 0 || label[row] >= classes)) {
      result.bad_row = row;
      result.bad_label = label[row];
      return result;
    }
    result.counted += ignored ? 0 : 1;
  }
  return result;
}

void check_counted(const char* op, const CountedLabels& labels, int64_t classes,
                   int64_t ignore_index, const Site& site) {
  check<ValueError>(labels.bad_row < 0, site,
                    "[{}] label {}: got {}, wanted 0 to {} or ignore_index {}", op, labels.bad_row,
                    labels.bad_label, classes - 1, ignore_index);
}

}  // namespace warptape
