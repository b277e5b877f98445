#pragma once
// Class labels beside scores: what losses of labels check and say.

#include "core/operand.h"

namespace warptape {

// scores: (N, C) or (N, C, d1, ...), floating; labels: int64, (N) or (N, d1, ...), on their device.
// `what` names the scores. Whether each label is a class, the kernels say.
void check_labels(const char* op, const char* what, const Operand& scores, const Tensor& labels);

struct CountedLabels {
  int64_t counted = 0;   // labels that are not ignored
  int64_t bad_row = -1;  // the first that is no class, -1 if none
  int64_t bad_label = 0;
};

// On the CPU; labels are row-major.
CountedLabels count_labels(const Tensor& labels, int64_t classes, int64_t ignore_index);

// ValueError for a label that is no class.
void check_counted(const char* op, const CountedLabels& labels, int64_t classes,
                   int64_t ignore_index, const Site& site);

// The code by which kernels report the same: one for each pair of settings that the message names.
int bad_label_code(const char* op, int64_t classes, int64_t ignore_index);

}  // namespace warptape
