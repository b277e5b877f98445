#include "training/optimizers/adam.h"

#include "core/device/on_device.h"
#include "training/constraints.h"
#include "training/optimizers.h"

namespace warptape {
namespace {

template <class Options>
OptionList<Options> adam_options() {
  return OptionList<Options>()("lr", &Options::lr, rules::zero_or_more, "learning rate")(
      "beta1", &Options::beta1, rules::below_one, "how long it remembers gradients")(
      "beta2", &Options::beta2, rules::below_one, "how long it remembers their squares")(
      "eps", &Options::eps, rules::zero_or_more, "added to the root of the squares")(
      "weight_decay", &Options::weight_decay, rules::zero_or_more, "weight decay");
}

}  // namespace

std::vector<Optimizer::GroupOf> Adam::with_defaults(std::vector<Group> groups,
                                                    const Options& options) {
  std::vector<GroupOf> result;
  for (Group& group : groups) {
    result.push_back({std::move(group.parameters),
                      group.lr.value_or(options.lr),
                      {{"beta1", group.beta1.value_or(options.beta1), 0, 1},
                       {"beta2", group.beta2.value_or(options.beta2), 0, 1},
                       {"eps", group.eps.value_or(options.eps)},
                       {"weight_decay", group.weight_decay.value_or(options.weight_decay)},
                       constraint_option(group.constraint.value_or(options.constraint))}});
  }
  return result;
}

Adam::Adam(const char* name, std::vector<Group> groups, Options options, bool decoupled)
    : Optimizer(name, with_defaults(std::move(groups), options)), decoupled_(decoupled) {
  check_rule();
}

std::vector<const char*> Adam::buffers(const OptimizerOptions&) const {
  return {"exp_avg", "exp_avg_sq"};
}

void Adam::update(Device device, std::span<ParameterUpdate> updates,
                  const OptimizerOptions& options, StepState& state) {
  const AdamConstants constants{options["beta1"], options["beta2"], options["eps"],
                                options["weight_decay"], decoupled_};
  on_device(
      "Adam", device, [&] { optimizer_step_cpu(updates, constants, state); },
      [&] { optimizer_step_cuda(updates, constants, state); });
}

OptimizerKind adam_optimizer() {
  return optimizer_kind<Adam>("adam", "Adam", adam_options<Adam::Options>());
}

OptimizerKind adamw_optimizer() {
  return optimizer_kind<AdamW>("adamw", "Adam with decoupled weight decay",
                               adam_options<AdamW::Options>());
}

}  // namespace warptape
