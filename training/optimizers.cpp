#include "training/optimizers.h"

#include "training/role_groups.h"

namespace warptape {

Registry<OptimizerKind>& optimizers() {
  static Registry<OptimizerKind> all("optimizer", {
                                                      sgd_optimizer(),
                                                      adam_optimizer(),
                                                      adamw_optimizer(),
                                                      rmsprop_optimizer(),
                                                  });
  return all;
}

namespace {

std::unique_ptr<Optimizer> make_of_groups(const Choice& choice,
                                          std::vector<ParameterGroup> groups) {
  const OptionValues options = optimizers().complete(choice);
  const OptimizerKind& kind = optimizers().find(choice.name);
  kind.check_options(options, OptionNames::keys("optimizer"));
  return kind.make(std::move(groups), options);
}

bool has_weight_decay(const Choice& choice) {
  const OptionValues options = optimizers().complete(choice);
  const auto found = options.find("weight_decay");
  return found != options.end() && value_as<double>(found->second).value_or(0) != 0;
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const Choice& choice, ParameterStates parameters) {
  return make_of_groups(choice, {{.parameters = std::move(parameters)}});
}

std::unique_ptr<Optimizer> make_optimizer_by_role(const Choice& choice, Module& model) {
  return has_weight_decay(choice) ? make_of_groups(choice, groups_by_role<ParameterGroup>(model))
                                  : make_optimizer(choice, parameters(model));
}

}  // namespace warptape
