#pragma once
#include "core/random.h"
#include "core/tape.h"

namespace warptape {

// to = x * mask / (1 - p); one format for both.
void dropout_cpu(const Tensor& x, double p, const RandomStream& stream, GradientTarget to);
void dropout_cuda(const Tensor& x, double p, const RandomStream& stream, GradientTarget to);

}  // namespace warptape
