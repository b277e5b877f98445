#include "training/optimizers.h"

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

std::unique_ptr<Optimizer> make_optimizer(const Choice& choice, ParameterStates parameters) {
  const OptionValues options = optimizers().complete(choice);
  const OptimizerKind& kind = optimizers().find(choice.name);
  kind.check_options(options, OptionNames::keys("optimizer"));
  return kind.make(std::move(parameters), options);
}

}  // namespace warptape
