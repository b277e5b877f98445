#include "kernels/regions/operand_list.h"

#include <array>

#include "core/check.h"

namespace warptape {

void check_list(const char* op, const std::vector<Operand>& tensors) {
  check<ValueError>(!tensors.empty(), "[{}] tensors: got none, wanted one or more", op);
  for (const Operand& x : tensors) {
    check_defined(op, x);
    check_same_kind(op, tensors.front(), x);
  }
}

void record_list(const char* op, const std::vector<Operand>& tensors, Tensor& y,
                 std::function<void(Backward& context, int input)> gradient) {
  std::vector<const Operand*> inputs;
  for (const Operand& x : tensors) {
    inputs.push_back(&x);
  }
  Tape* const tape = Tape::recording(inputs);
  if (tape == nullptr) {
    return;
  }
  std::array<Tensor*, 1> outputs = {&y};
  tape->record(
      op, inputs, outputs,
      [count = static_cast<int>(inputs.size()), gradient = std::move(gradient)](Backward& context) {
        for (int i = 0; i < count; ++i) {
          if (context.needs(i)) {
            gradient(context, i);
          }
        }
      },
      Differentiable::Twice);
}

}  // namespace warptape
