#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "training/optimizer.h"

namespace warptape {

// Stochastic gradient descent, with momentum where it is asked for.
class SGD : public Optimizer {
 public:
  struct Options {
    double lr = 1e-3;
    double momentum = 0;
    double dampening = 0;
    double weight_decay = 0;
    bool nesterov = false;
    Constraint constraint = Constraint::None;
  };
  struct Group {
    ParameterStates parameters = {};
    // In place of the optimizer's:
    std::optional<double> lr = {};
    std::optional<double> momentum = {};
    std::optional<double> dampening = {};
    std::optional<double> weight_decay = {};
    std::optional<bool> nesterov = {};
    std::optional<Constraint> constraint = {};
    bool operator==(const Group&) const = default;
  };
  SGD(ParameterStates parameters, Options options)  // ValueError names the option
  : SGD(std::vector<Group>{{.parameters = std::move(parameters)}}, options) {}
  explicit SGD(ParameterStates parameters) : SGD(std::move(parameters), Options()) {}
  template <class GroupOfSGD = Group>  // a template, so that {} means no parameters
  explicit SGD(std::vector<GroupOfSGD> groups) : SGD(std::move(groups), Options()) {}
  template <class GroupOfSGD = Group>
  SGD(std::vector<GroupOfSGD> groups, Options options)
      : Optimizer("SGD", with_defaults(std::move(groups), options)) {
    check_rule();
  }

 private:
  static std::vector<GroupOf> with_defaults(std::vector<Group> groups, const Options& options);
  void check_options(const OptimizerOptions& options) const override;
  std::vector<const char*> buffers(const OptimizerOptions& options) const override;
  void update(Device device, std::span<ParameterUpdate> updates, const OptimizerOptions& options,
              StepState& state) override;
};

struct OptimizerKind;
OptimizerKind sgd_optimizer();  // as a recipe names it

}  // namespace warptape
