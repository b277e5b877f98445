#pragma once
// Every op that goes element by element, a line each. From a line come the public function
// (pointwise.h), its kernels (a source file each, made by warptape_add_pointwise_ops), its case
// table and the test op.NAME. PyTorch's values for it are in tests/golden/generate_pointwise.py.
//
// X(function, functor, default of its options, inputs of its cases)
//   default: "= {}", or nothing where an option has none
//   inputs: a Fill (kernels/cases/case.h) that keeps away from poles and kinks

// clang-format off
#define WARPTAPE_UNARY_OPS(X)                     \
  X(abs, Abs, = {}, AwayFromZero)                 \
  X(clamp, Clamp, = {}, Normal)                   \
  X(elu, Elu, = {}, AwayFromZero)                 \
  X(erf, Erf, = {}, Normal)                       \
  X(exp, Exp, = {}, Normal)                       \
  X(gelu, Gelu, = {}, Normal)                     \
  X(leaky_relu, LeakyRelu, = {}, AwayFromZero)    \
  X(log, Log, = {}, Positive)                     \
  X(neg, Neg, = {}, Normal)                       \
  X(pow, Pow, , Positive)                         \
  X(relu, Relu, = {}, AwayFromZero)               \
  X(rsqrt, Rsqrt, = {}, Positive)                 \
  X(sigmoid, Sigmoid, = {}, AwayFromZero)         \
  X(silu, Silu, = {}, Normal)                     \
  X(softplus, Softplus, = {}, Normal)             \
  X(sqrt, Sqrt, = {}, Positive)                   \
  X(tanh, Tanh, = {}, AwayFromZero)

// The second operand's inputs; the first one's are normal.
#define WARPTAPE_BINARY_OPS(X)                    \
  X(add, Add, Normal)                             \
  X(div, Div, AwayFromZero)                       \
  X(maximum, Maximum, Normal)                     \
  X(minimum, Minimum, Normal)                     \
  X(mul, Mul, Normal)                             \
  X(sub, Sub, Normal)

// What the gradients of these are. X(name of its source file, functor)
#define WARPTAPE_BINARY_GRADIENTS(X)              \
  X(same, Same)                                   \
  X(negated, Negated)                             \
  X(times_other, TimesOther)                      \
  X(over_other, OverOther)                        \
  X(of_divisor, OfDivisor)                        \
  X(to_larger, ToLarger)                          \
  X(to_smaller, ToSmaller)

// X(function, functor)
#define WARPTAPE_COMPARISONS(X)                   \
  X(eq, Eq)                                       \
  X(ge, Ge)                                       \
  X(gt, Gt)                                       \
  X(le, Le)                                       \
  X(lt, Lt)                                       \
  X(ne, Ne)
// clang-format on
