// The case tables of the pointwise ops. References are the functors in float64; what these should
// compute, PyTorch's values say (tests/golden).

#include "kernels/pointwise/binary_cases.h"
#include "kernels/pointwise/compare_cases.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/pointwise/unary_cases.h"

namespace warptape {
namespace {

template <class Functor>
Functor options_for_cases() {
  if constexpr (std::is_same_v<Functor, pointwise::Pow>) {
    return {2.5};
  } else if constexpr (std::is_same_v<Functor, pointwise::Clamp>) {
    return {.min = -0.5, .max = 1};
  } else {
    return {};
  }
}

}  // namespace

#define WARPTAPE_CASES(name, Functor, default_options, fill)                          \
  void name##_cases(CaseTable& table) {                                               \
    const auto functor = options_for_cases<pointwise::Functor>();                     \
    add_unary_cases(                                                                  \
        table, #name, Fill::fill, [=](const Operand& x) { return name(x, functor); }, \
        [=](double x) { return functor.forward(x); }, pointwise::Functor::saves);     \
  }
WARPTAPE_UNARY_OPS(WARPTAPE_CASES)
#undef WARPTAPE_CASES

#define WARPTAPE_CASES(name, Functor, fill)                                                      \
  void name##_cases(CaseTable& table) {                                                          \
    add_binary_cases(                                                                            \
        table, #name, Fill::fill, [](const Operand& a, const Operand& b) { return name(a, b); }, \
        [](double a, double b) { return pointwise::Functor::forward(a, b); },                    \
        pointwise::Functor::GradientA::reads, pointwise::Functor::GradientB::reads);             \
  }
WARPTAPE_BINARY_OPS(WARPTAPE_CASES)
#undef WARPTAPE_CASES

#define WARPTAPE_CASES(name, Functor)                                                    \
  void name##_cases(CaseTable& table) {                                                  \
    add_compare_cases(                                                                   \
        table, #name, [](const Operand& a, const Operand& b) { return name(a, b); },     \
        [](double a, double b) { return pointwise::Functor::holds(a, b) ? 1.0 : 0.0; }); \
  }
WARPTAPE_COMPARISONS(WARPTAPE_CASES)
#undef WARPTAPE_CASES

}  // namespace warptape
