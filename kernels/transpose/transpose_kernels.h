#pragma once
#include "core/tape.h"

namespace warptape {

// to[... j ... i ...] <- from[... i ... j ...]; both in any format.
void transpose_cpu(const Tensor& from, int dim0, int dim1, Tensor& to, WriteMode mode);
void transpose_cuda(const Tensor& from, int dim0, int dim1, Tensor& to, WriteMode mode);

}  // namespace warptape
