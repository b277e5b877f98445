#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "training/optimizer.h"

namespace warptape {

// Adam (Kingma & Ba 2015); weight_decay adds to the gradient.
class Adam : public Optimizer {
 public:
  struct Options {
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;
    Constraint constraint = Constraint::None;
  };
  struct Group {
    ParameterStates parameters = {};
    // In place of the optimizer's:
    std::optional<double> lr = {};
    std::optional<double> beta1 = {};
    std::optional<double> beta2 = {};
    std::optional<double> eps = {};
    std::optional<double> weight_decay = {};
    std::optional<Constraint> constraint = {};
    bool operator==(const Group&) const = default;
  };
  Adam(ParameterStates parameters, Options options)
      : Adam(std::vector<Group>{{.parameters = std::move(parameters)}}, options) {}
  explicit Adam(ParameterStates parameters) : Adam(std::move(parameters), Options()) {}
  template <class GroupOfAdam = Group>
  explicit Adam(std::vector<GroupOfAdam> groups) : Adam(std::move(groups), Options()) {}
  template <class GroupOfAdam = Group>
  Adam(std::vector<GroupOfAdam> groups, Options options)
      : Adam("Adam", std::move(groups), options, false) {}

 protected:
  Adam(const char* name, std::vector<Group> groups, Options options, bool decoupled);

 private:
  static std::vector<GroupOf> with_defaults(std::vector<Group> groups, const Options& options);
  std::vector<const char*> buffers(const OptimizerOptions& options) const override;
  void update(Device device, std::span<ParameterUpdate> updates, const OptimizerOptions& options,
              StepState& state) override;
  bool decoupled_;
};

// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
class AdamW : public Adam {
 public:
  struct Options {
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 1e-2;
    Constraint constraint = Constraint::None;
  };
  AdamW(ParameterStates parameters, Options options)
      : AdamW(std::vector<Group>{{.parameters = std::move(parameters)}}, options) {}
  explicit AdamW(ParameterStates parameters) : AdamW(std::move(parameters), Options()) {}
  template <class GroupOfAdam = Group>
  explicit AdamW(std::vector<GroupOfAdam> groups) : AdamW(std::move(groups), Options()) {}
  template <class GroupOfAdam = Group>
  AdamW(std::vector<GroupOfAdam> groups, Options options)
      : Adam("AdamW", std::move(groups),
             {options.lr, options.beta1, options.beta2, options.eps, options.weight_decay,
              options.constraint},
             true) {}
};

struct OptimizerKind;
OptimizerKind adam_optimizer();  // as a recipe names them
OptimizerKind adamw_optimizer();

}  // namespace warptape
