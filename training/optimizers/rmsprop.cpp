#include "training/optimizers/rmsprop.h"

#include "core/device/on_device.h"
#include "training/constraints.h"
#include "training/optimizers.h"

namespace warptape {

std::vector<Optimizer::GroupOf> RMSprop::with_defaults(std::vector<Group> groups,
                                                       const Options& options) {
  std::vector<GroupOf> result;
  for (Group& group : groups) {
    result.push_back({std::move(group.parameters),
                      group.lr.value_or(options.lr),
                      {{"alpha", group.alpha.value_or(options.alpha)},
                       {"eps", group.eps.value_or(options.eps)},
                       {"weight_decay", group.weight_decay.value_or(options.weight_decay)},
                       {"momentum", group.momentum.value_or(options.momentum)},
                       {"centered", group.centered.value_or(options.centered) ? 1.0 : 0.0, 0, 2},
                       constraint_option(group.constraint.value_or(options.constraint))}});
  }
  return result;
}

std::vector<const char*> RMSprop::buffers(const OptimizerOptions& options) const {
  return {"square_avg", options["momentum"] != 0 ? "momentum_buffer" : nullptr,
          options["centered"] != 0 ? "grad_avg" : nullptr};
}

void RMSprop::update(Device device, std::span<ParameterUpdate> updates,
                     const OptimizerOptions& options, StepState& state) {
  const RmsPropConstants constants{options["alpha"], options["eps"], options["weight_decay"],
                                   options["momentum"], options["centered"] != 0};
  on_device(
      "RMSprop", device, [&] { optimizer_step_cpu(updates, constants, state); },
      [&] { optimizer_step_cuda(updates, constants, state); });
}

OptimizerKind rmsprop_optimizer() {
  using Options = RMSprop::Options;
  return optimizer_kind<RMSprop>(
      "rmsprop", "RMSprop",
      OptionList<Options>()("lr", &Options::lr, rules::zero_or_more, "learning rate")(
          "alpha", &Options::alpha, rules::up_to_one, "how long it remembers squares")(
          "eps", &Options::eps, rules::zero_or_more, "added to the root of the squares")(
          "weight_decay", &Options::weight_decay, rules::zero_or_more, "weight decay")(
          "momentum", &Options::momentum, rules::below_one, "its momentum")(
          "centered", &Options::centered, rules::flag, "divides by the deviation"));
}

}  // namespace warptape
