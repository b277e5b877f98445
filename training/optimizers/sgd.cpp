#include "training/optimizers/sgd.h"

#include <cmath>

#include "core/check.h"
#include "core/device/on_device.h"
#include "training/constraints.h"
#include "training/optimizers.h"

namespace warptape {

std::vector<Optimizer::GroupOf> SGD::with_defaults(std::vector<Group> groups,
                                                   const Options& options) {
  std::vector<GroupOf> result;
  for (Group& group : groups) {
    result.push_back({std::move(group.parameters),
                      group.lr.value_or(options.lr),
                      {{"momentum", group.momentum.value_or(options.momentum)},
                       {"dampening", group.dampening.value_or(options.dampening), -INFINITY},
                       {"weight_decay", group.weight_decay.value_or(options.weight_decay)},
                       {"nesterov", group.nesterov.value_or(options.nesterov) ? 1.0 : 0.0, 0, 2},
                       constraint_option(group.constraint.value_or(options.constraint))}});
  }
  return result;
}

void SGD::check_options(const OptimizerOptions& options) const {
  check<ValueError>(
      options["nesterov"] == 0 || (options["momentum"] > 0 && options["dampening"] == 0),
      "[SGD] nesterov: got momentum {} and dampening {}, wanted momentum above 0 and "
      "no dampening",
      options["momentum"], options["dampening"]);
}

std::vector<const char*> SGD::buffers(const OptimizerOptions& options) const {
  return {options["momentum"] != 0 ? "momentum_buffer" : nullptr};
}

void SGD::update(Device device, std::span<ParameterUpdate> updates, const OptimizerOptions& options,
                 StepState& state) {
  const SgdConstants constants{options["momentum"], options["dampening"], options["weight_decay"],
                               options["nesterov"] != 0};
  on_device(
      "SGD", device, [&] { optimizer_step_cpu(updates, constants, state); },
      [&] { optimizer_step_cuda(updates, constants, state); });
}

OptimizerKind sgd_optimizer() {
  using Options = SGD::Options;
  const auto list = OptionList<Options>()("lr", &Options::lr, rules::zero_or_more, "learning rate")(
      "momentum", &Options::momentum, rules::below_one, "its momentum")(
      "nesterov", &Options::nesterov, rules::flag, "Nesterov momentum")(
      "dampening", &Options::dampening, rules::up_to_one, "of the gradient in the momentum")(
      "weight_decay", &Options::weight_decay, rules::zero_or_more, "weight decay");
  OptimizerKind kind = optimizer_kind<SGD>("sgd", "stochastic gradient descent", list);
  kind.check_options = [list](const OptionValues& values, const OptionNames& names) {
    const Options o = list.read(values);
    check<ValueError>(!o.nesterov || o.momentum > 0, "{}: got no {}, wanted one above 0",
                      names.in_front("nesterov"), names("momentum"));
    check<ValueError>(!o.nesterov || o.dampening == 0, "{}: got {} {}, wanted none",
                      names.in_front("nesterov"), names("dampening"), o.dampening);
  };
  return kind;
}

}  // namespace warptape
