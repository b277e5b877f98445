#pragma once
// Gradients of the ops of functors.h as ops themselves, which are recorded: what a backward that
// creates a graph gives. They equal the functors' gradient().

#include "core/operand.h"
#include "kernels/pointwise/functors.h"

namespace warptape {

// What was broadcast to dy's shape summed up to this one again.
Tensor sum_to_shape(const Operand& dy, const Shape& shape);

namespace pointwise {

// dy times the derivative of an op of one tensor. saved: what the functor saves, as it is on the
// tape.
Tensor recorded_gradient(const Abs& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Clamp& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Elu& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Erf& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Exp& op, const Operand& dy, const Operand& y);
Tensor recorded_gradient(const Gelu& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const LeakyRelu& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Log& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Neg& op, const Operand& dy, const Operand& saved);
Tensor recorded_gradient(const Pow& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Relu& op, const Operand& dy, const Operand& y);
Tensor recorded_gradient(const Rsqrt& op, const Operand& dy, const Operand& y);
Tensor recorded_gradient(const Sigmoid& op, const Operand& dy, const Operand& y);
Tensor recorded_gradient(const Silu& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Softplus& op, const Operand& dy, const Operand& x);
Tensor recorded_gradient(const Sqrt& op, const Operand& dy, const Operand& y);
Tensor recorded_gradient(const Tanh& op, const Operand& dy, const Operand& y);

// dy times the derivative of an op of two tensors, in dy's shape. own, other: undefined where the
// functor does not read them.
Tensor recorded_gradient(const Same& op, const Operand& dy, const Operand& own,
                         const Operand& other);
Tensor recorded_gradient(const Negated& op, const Operand& dy, const Operand& own,
                         const Operand& other);
Tensor recorded_gradient(const TimesOther& op, const Operand& dy, const Operand& own,
                         const Operand& other);
Tensor recorded_gradient(const OverOther& op, const Operand& dy, const Operand& own,
                         const Operand& other);
Tensor recorded_gradient(const OfDivisor& op, const Operand& dy, const Operand& own,
                         const Operand& other);
Tensor recorded_gradient(const ToLarger& op, const Operand& dy, const Operand& own,
                         const Operand& other);
Tensor recorded_gradient(const ToSmaller& op, const Operand& dy, const Operand& own,
                         const Operand& other);

}  // namespace pointwise
}  // namespace warptape
