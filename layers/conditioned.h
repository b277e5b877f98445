#pragma once
#include <vector>

#include "layers/module.h"

namespace warptape {

// A module of sequences x (N, C, L) that may take a condition c besides: a vector for each sequence
// (N, K), the same at all of its steps, or a sequence of its own (N, K, L).
//
//   net(x)      net(x, c)
class ConditionedModule : public Module {
 public:
  using Module::operator();
  Tensor operator()(const Operand& x, const Operand& condition) {
    return call(x, condition, [this](const Operand& input, const Operand& given) {
      return forward_with(input, given);
    });
  }
  // Without a condition: an undefined tensor.
  Tensor forward(const Operand& x) override { return forward_with(x, Operand(Tensor())); }
  virtual Tensor forward_with(const Operand& x, const Operand& condition) = 0;

 protected:
  // Runs forward(x, condition) as a call of this module, hooks and all.
  template <class Forward>
  Tensor call(const Operand& x, const Operand& condition, const Forward& forward) {
    return call_from(x.site(), [&] {
      if (!has_hooks()) {
        return forward(x, condition);
      }
      std::vector<Operand> inputs{x};
      if (condition.defined()) {
        inputs.push_back(condition);
      }
      run_pre_hooks(inputs);
      Tensor y = forward(inputs[0], inputs.size() == 2 ? inputs[1] : condition);
      run_hooks(inputs, y);
      return y;
    });
  }
};

}  // namespace warptape
