#pragma once
// What optimizers share; each is a pair of files in training/optimizers/, with PyTorch's names,
// defaults and update rule. They hold the states of parameters,
// so that moving a module, or assigning to it, does not disturb them. Parameters whose gradient is
// empty, or which require none, are skipped.

#include <array>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/kept_value.h"
#include "kernels/optimizer/optimizer_step.h"
#include "layers/state_dict.h"
#include "training/parameter_states.h"

namespace warptape {

// Gradients that the step which takes them clips (queue_clip_factor), so that none is written anew.
struct ClipFactor {
  Tensor norm_and_factor;               // float64, two elements; undefined: nothing is clipped
  const ParameterStates* of = nullptr;  // whose gradients; lives until the step has been taken
};

struct StepOptions {
  // Let there be parameters with a gradient that no optimizer holds.
  bool allow_unheld = false;
  ClipFactor clip = {};
};

// An option of a group beside its rate, by PyTorch's name; a flag is 0 or 1.
struct OptimizerOption {
  const char* name;
  double value;
  double low = 0;  // wanted: low <= value < high
  double high = std::numeric_limits<double>::infinity();
};

class OptimizerOptions : public std::vector<OptimizerOption> {
 public:
  using std::vector<OptimizerOption>::vector;
  double operator[](std::string_view name) const;  // of an option that is there
};

// Parameters are in groups, each with options of its own where it gives them, as PyTorch's:
//
//   SGD optimizer({{.parameters = parameters(model.body)},
//                  {.parameters = parameters(model.head), .lr = 0.1, .weight_decay = 0}},
//                 {.lr = 0.01, .weight_decay = 1e-4});
//
// Groups are counted from 0. Parameters that are given alone are one group.
//
// A group's `constraint` is kept true of the rows of its parameters by every step, in the pass, or
// launch, that updates them (kernels/optimizer/constraint.h): UnitRows, FixedRadius. So it is of
// weights, which have rows: ValueError for a parameter of rank 0 or 1.
//
// Constructors throw ValueError for no parameters, for one that is there twice or is undefined, and
// where none requires a gradient (some may be frozen); DTypeError for one that holds no floats.
class Optimizer {
 public:
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // ValueError, and nothing is updated, if since the last step() or zero_grad() a backward pass of
  // this thread gave a gradient to a parameter that no optimizer holds: it would never train. It
  // names the parameters.
  // Either fields() forgets a member, or the module was copied, replaced or weight-normalised after
  // its optimizer was made: then make the optimizer anew. What shall not train is frozen
  // (layers/module.h), which also saves its gradient. Parts of a model may have an optimizer each.
  void step(StepOptions options = {});
  void zero_grad();  // marks gradients empty: no memory is written

  // Divides the rows of parameters under Constraint::UnitRows by their norms, as a step leaves
  // them: before the first one, so that forward sees them so from the beginning. Frozen ones stay.
  void project();

  size_t num_groups() const { return groups_.size(); }
  double learning_rate(size_t group = 0) const;  // ValueError if there is no such group
  // ValueError unless finite and 0 or more.
  void set_learning_rate(double learning_rate);  // of all groups
  void set_learning_rate(size_t group, double learning_rate);

  // A captured step reads the rates from device memory, where set_learning_rate() writes them.
  // While they wait, only the next step does, or whoever replays one and writes them with more:
  // visit(address there, rate) for each that has changed.
  void let_rates_wait(bool wait) { rates_wait_ = wait; }
  void write_changed_rates(const std::function<void(double*, double)>& visit);
  // Changes when a step may be another one than before: when a state was loaded.
  uint64_t revision() const { return revision_; }

  // What the next step depends on beside parameters and gradients:
  //   steps            int64, one element per parameter: how often each was updated; absent before
  //                    the first step
  //   NAME.BUFFER      what the rule keeps of a parameter that was updated. Its name is its path in
  //                    the module, or its number where it has none or shares it; BUFFER is
  //                    PyTorch's: momentum_buffer (SGD with momentum), exp_avg and exp_avg_sq
  //                    (Adam), square_avg (RMSprop)
  //   param_groups.G.OPTION  float64, one element: an option of group G, "lr" the first
  //   param_groups.G.params  int64: the numbers of its parameters, counted over all groups
  // The tensors are the optimizer's own: clone() what has to stay as it is.
  StateDict state_dict();
  // Takes such a state, from any device, with its options, as PyTorch does; options stay as they
  // are where it has none. ValueError that names the key for what is not one of this optimizer, and
  // nothing is changed then.
  void load_state_dict(const StateDict& state);

 protected:
  struct GroupOf {
    ParameterStates parameters;
    double learning_rate;
    OptimizerOptions options;
  };
  // A rule's constructor calls check_rule() then.
  Optimizer(const char* name, std::vector<GroupOf> groups);
  void check_rule() const { check_groups(groups_); }

  // Of the rule: ValueError for options that do not go together; the names of the tensors that it
  // keeps of a parameter (most_buffers at most), in the rule's order, null for one that these
  // options do not use; such a tensor before the first update, like the parameter and unwritten
  // unless the rule says otherwise; the update of parameters of one group.
  virtual void check_options(const OptimizerOptions&) const {}
  virtual std::vector<const char*> buffers(const OptimizerOptions& options) const = 0;
  virtual Tensor make_buffer(size_t buffer, const Tensor& value) const;
  virtual void update(Device device, std::span<ParameterUpdate> updates,
                      const OptimizerOptions& options, StepState& state) = 0;

 private:
  struct Entry {
    std::shared_ptr<ParameterState> parameter;
    size_t group;
    std::string key;  // in a state dict
    std::array<Tensor, most_buffers> buffers;
  };
  struct GroupState {
    double learning_rate;
    OptimizerOptions options;
    Tensor rate_on_device = {};     // float64, one element; from the first step on
    bool rate_has_changed = false;  // since it was written there
  };
  static void write_rate(GroupState& group);  // if it has changed
  struct Reader;                              // of a state that is loaded

  void add_entries(std::vector<GroupOf> groups, const std::vector<std::string>& keys);
  void check_rate(double learning_rate) const;
  void check_groups(const std::vector<GroupState>& groups) const;
  void check_constraints(const std::vector<GroupState>& groups) const;
  void check_all_held() const;
  void prepare_state(Device device);
  struct Updates {
    std::vector<ParameterUpdate> of_parameters;
    std::vector<std::shared_ptr<KeptValue>> kept;  // that they write
  };
  Updates updates_of(size_t group, const ClipFactor& clip);
  std::vector<int64_t> numbers_of(size_t group) const;  // of its entries

  const char* name_;
  StepState state_;  // on the parameters' device, from the first step on; the rate is a group's
  std::vector<GroupState> groups_;
  std::vector<Entry> entries_;  // group by group
  bool rates_wait_ = false;
  uint64_t revision_ = 0;
};

// The norm of all gradients together (empty ones count as 0, and those of parameters that require
// none). ValueError for a parameter that is there twice, here and below.
double grad_norm(const ParameterStates& parameters);

// Scales gradients by max_norm / (norm + 1e-6) if that is below 1, as
// torch.nn.utils.clip_grad_norm_. Returns the norm before. ValueError unless max_norm > 0.
double clip_grad_norm(const ParameterStates& parameters, double max_norm);

// The same, queued: the norm as a float64 tensor of one element on the gradients' device (on the
// CPU where there are none), so that the host need not wait for it.
Tensor queue_grad_norm(const ParameterStates& parameters);
Tensor queue_clip_grad_norm(const ParameterStates& parameters, double max_norm);

// The same for gradients of which nobody but step() wants to know: it scales them as it reads them,
// to the same bits, given this as its option, and they stay as backward left them.
ClipFactor queue_clip_factor(const ParameterStates& parameters, double max_norm);

}  // namespace warptape
