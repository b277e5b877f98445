#include "core/linear_map.h"

#include <utility>

namespace warptape {
namespace {

enum class Side { Forward, Transposed };

Tensor apply(const std::shared_ptr<const LinearMap>& map, Side side, const Operand& x) {
  const auto& function = side == Side::Forward ? map->forward : map->transposed;
  Tensor y = function(x.detach());
  if (Tape* tape = Tape::recording({&x})) {
    const Side other = side == Side::Forward ? Side::Transposed : Side::Forward;
    tape->record(
        map->name, {&x}, {&y},
        [map, other](Backward& context) {
          if (context.needs(0)) {
            context.give(0, apply(map, other, context.grad()));
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace

void give_transposed(Backward& context, LinearMap map, int input) {
  if (context.needs(input)) {
    const auto shared = std::make_shared<const LinearMap>(std::move(map));
    context.give(input, apply(shared, Side::Transposed, context.grad()));
  }
}

}  // namespace warptape
