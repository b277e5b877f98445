#pragma once
#include "core/tape.h"
#include "kernels/rows/row_geometry.h"

namespace warptape {

// Rows of x in memory order. weight and bias, if defined, have an element for each place of a row,
// in the dtype that x is computed in; statistics (pairs of doubles) are in the order of the rows.
struct LayerNormRows {
  rows::Extents extents;
  Tensor weight;
  Tensor bias;
  double eps = 0;
};

void layer_norm_forward_cpu(const Tensor& x, const LayerNormRows& rows, Tensor& y,
                            Tensor& statistics);
void layer_norm_forward_cuda(const Tensor& x, const LayerNormRows& rows, Tensor& y,
                             Tensor& statistics);

void layer_norm_backward_cpu(const Tensor& dy, const Tensor& x, const Tensor& statistics,
                             const LayerNormRows& rows, const GradientTarget& dx);
void layer_norm_backward_cuda(const Tensor& dy, const Tensor& x, const Tensor& statistics,
                              const LayerNormRows& rows, const GradientTarget& dx);

}  // namespace warptape
