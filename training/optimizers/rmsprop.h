#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "training/optimizer.h"

namespace warptape {

// RMSprop (Hinton 2012; centered: Graves 2013).
class RMSprop : public Optimizer {
 public:
  struct Options {
    double lr = 1e-2;
    double alpha = 0.99;
    double eps = 1e-8;
    double weight_decay = 0;
    double momentum = 0;
    bool centered = false;
    Constraint constraint = Constraint::None;
  };
  struct Group {
    ParameterStates parameters = {};
    // In place of the optimizer's:
    std::optional<double> lr = {};
    std::optional<double> alpha = {};
    std::optional<double> eps = {};
    std::optional<double> weight_decay = {};
    std::optional<double> momentum = {};
    std::optional<bool> centered = {};
    std::optional<Constraint> constraint = {};
    bool operator==(const Group&) const = default;
  };
  RMSprop(ParameterStates parameters, Options options)  // ValueError names the option
      : RMSprop(std::vector<Group>{{.parameters = std::move(parameters)}}, options) {}
  explicit RMSprop(ParameterStates parameters) : RMSprop(std::move(parameters), Options()) {}
  template <class GroupOfRMSprop = Group>  // a template, so that {} means no parameters
  explicit RMSprop(std::vector<GroupOfRMSprop> groups) : RMSprop(std::move(groups), Options()) {}
  template <class GroupOfRMSprop = Group>
  RMSprop(std::vector<GroupOfRMSprop> groups, Options options)
      : Optimizer("RMSprop", with_defaults(std::move(groups), options)) {
    check_rule();
  }

 private:
  static std::vector<GroupOf> with_defaults(std::vector<Group> groups, const Options& options);
  std::vector<const char*> buffers(const OptimizerOptions& options) const override;
  void update(Device device, std::span<ParameterUpdate> updates, const OptimizerOptions& options,
              StepState& state) override;
};

struct OptimizerKind;
OptimizerKind rmsprop_optimizer();  // as a recipe names it

}  // namespace warptape
