#pragma once
// Modules of several inputs or outputs:
//
//   struct CrossAttention : ModuleOf<Tensor(const Operand&, const Operand&)> {
//     Tensor forward(const Operand& queries, const Operand& keys) override { ... }
//   };

#include <type_traits>
#include <utility>
#include <vector>

#include "layers/module.h"

namespace warptape {

namespace detail {
// ValueError.
[[noreturn]] void refuse_one_input(const Module& module, size_t wanted, const Site& site);
[[noreturn]] void refuse_output_hooks(const Module& module);
}  // namespace detail

// A module whose forward has another signature than Tensor(const Operand&). It has no place in a
// Sequential.
template <class Signature>
class ModuleOf;

template <class Result, class... Inputs>
class ModuleOf<Result(Inputs...)> : public Module {
  template <class Input>
  static constexpr bool is_operand = std::is_same_v<std::remove_cvref_t<Input>, Operand>;
  static_assert(!(sizeof...(Inputs) == 1 && (is_operand<Inputs> && ...)),
                "what takes one Operand is a Module");

 public:
  virtual Result forward(Inputs... inputs) = 0;
  Result operator()(Inputs... inputs) {
    return call_from(site_of(inputs...), [&]() -> Result {
      if (has_hooks()) {
        return with_hooks(std::index_sequence_for<Inputs...>(), inputs...);
      }
      return forward(std::forward<Inputs>(inputs)...);
    });
  }
  // Whoever sees only a Module, such as a Sequential.
  Tensor forward(const Operand& x) final {
    detail::refuse_one_input(*this, sizeof...(Inputs), x.site());
  }

 private:
  // Of the first operand.
  static Site site_of(const std::remove_reference_t<Inputs>&... inputs) {
    Site site;
    const auto look = [&](const auto& input) {
      if constexpr (is_operand<decltype(input)>) {
        site = site.file == nullptr ? input.site() : site;
      }
    };
    (look(inputs), ...);
    return site;
  }

  template <size_t... index>
  Result with_hooks(std::index_sequence<index...>, std::remove_reference_t<Inputs>&... inputs) {
    std::vector<Operand> operands;
    const auto collect = [&](const auto& input) {
      if constexpr (is_operand<decltype(input)>) {
        operands.push_back(input);
      }
    };
    (collect(inputs), ...);
    run_pre_hooks(operands);
    Result result = forward(pick<index, Inputs>(operands, inputs)...);
    if constexpr (std::is_same_v<Result, Tensor>) {
      run_hooks(operands, result);
    } else if (has_output_hooks()) {
      detail::refuse_output_hooks(*this);
    }
    return result;
  }

  // The input at that index, from the operands if it is one of them.
  template <size_t index, class Input>
  static Input pick(std::vector<Operand>& operands, std::remove_reference_t<Input>& input) {
    if constexpr (is_operand<Input>) {
      constexpr bool operand_at[] = {is_operand<Inputs>...};
      size_t place = 0;
      for (size_t i = 0; i < index; ++i) {
        place += operand_at[i] ? 1 : 0;
      }
      return static_cast<Input>(operands[place]);
    } else {
      return static_cast<Input>(input);
    }
  }
};

}  // namespace warptape
