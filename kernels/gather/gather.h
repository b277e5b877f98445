#pragma once
#include "core/operand.h"

namespace warptape {

// Elements of x along `dim`, at the places that index names: of three dimensions and dim 1,
// y[i][j][k] = x[i][index[i][j][k]][k] (torch.gather).
//   x: any dtype
//   index: int64, x's rank; in dimensions other than `dim` no longer than x. Values from 0 to
//     x.size(dim) - 1, else ValueError with the value and its place in logical order; on "cuda"
//     that comes with the next synchronisation.
//   result: index's shape, x's dtype and memory format
// Differentiable by x: where an element was taken several times its gradients are summed in
// float64, in the order of the index, or, of a long index, of chunks that depend on the shapes
// alone: the bits are the same in every run and on every device. On "cuda" backward reads a line of
// the index once for each 1 to 32 elements of x in that line, so that its time grows with the
// product of x.size(dim) and index.size(dim).
Tensor gather(const Operand& x, int dim, const Operand& index);

}  // namespace warptape
