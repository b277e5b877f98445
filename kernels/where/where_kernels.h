#pragma once
#include "core/strided_loop.h"
#include "core/tape.h"

namespace warptape {

// Operands of the loop: y, condition, a, b.
void where_cpu(const StridedLoop<4>& loop, const Tensor& condition, const Tensor& a,
               const Tensor& b, Tensor& y);
void where_cuda(const StridedLoop<4>& loop, const Tensor& condition, const Tensor& a,
                const Tensor& b, Tensor& y);

// to <- dy where the condition is `taken`, else 0. Operands of the loop: to, condition, dy, and one
// that is not there.
void where_gradient_cpu(const StridedLoop<4>& loop, bool taken, const Tensor& condition,
                        const Tensor& dy, GradientTarget to);
void where_gradient_cuda(const StridedLoop<4>& loop, bool taken, const Tensor& condition,
                         const Tensor& dy, GradientTarget to);

}  // namespace warptape
