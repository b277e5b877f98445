#pragma once
#include "core/tape.h"
#include "kernels/cross_entropy/cross_entropy.h"

namespace warptape {

struct CrossEntropyResult {
  int64_t counted = 0;   // labels that are not ignored
  int64_t bad_row = -1;  // the first row whose label is out of range, -1 if none
  int64_t bad_label = 0;
};

// labels: row-major. log_sums receives log(sum(exp(logits))) of every row, in the order of labels.
CrossEntropyResult cross_entropy_forward_cpu(const Tensor& logits, const Tensor& labels,
                                             const CrossEntropyOptions& options, Tensor& log_sums,
                                             Tensor& loss);
void cross_entropy_backward_cpu(const Tensor& dy, const Tensor& logits, const Tensor& labels,
                                const Tensor& log_sums, const CrossEntropyOptions& options,
                                int64_t counted, GradientTarget dlogits);

// All of it on CUDA: the loss, and where a tape records, the record. The forward launch writes the
// gradient of the loss as well, which backward hands on, or scales. Labels that are out of range
// are reported at the next synchronisation.
void cross_entropy_cuda(const Operand& logits, const Tensor& labels,
                        const CrossEntropyOptions& options, Tensor& loss, Tape* tape);

}  // namespace warptape
