#pragma once
// The exponential moving average of a model's parameters, as PyTorch's
// torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn(decay):
//
//   ParameterAverage average(parameters(model), {.decay = 0.999});
//   for (...) {
//     train_step(model, optimizer, ...);
//     average.update();
//   }
//   {
//     const AverageScope scope(average);  // the model has the averages until the scope ends
//     evaluate(model, ...);
//     save_safetensors("average.safetensors", state_dict(model));
//   }
//
// Buffers are not averaged: a model that has the averages keeps its own buffers, which are those
// that AveragedModel copies at its updates. Averages have the dtype of their parameters; in mixed
// precision that is float32.

#include <string>
#include <vector>

#include "kernels/optimizer/optimizer_step.h"
#include "layers/state_dict.h"
#include "training/parameter_states.h"

namespace warptape {

class ParameterAverage {
 public:
  struct Options {
    double decay = 0.999;  // from 0 to below 1
  };

  // Holds the parameters, as an optimizer does. Frozen ones may be among them. ValueError for no
  // parameters, for one that is there twice or is undefined, and for another decay; DTypeError for
  // one that holds no floats.
  explicit ParameterAverage(ParameterStates parameters) : ParameterAverage(parameters, Options()) {}
  ParameterAverage(ParameterStates parameters, Options options);

  // average = decay * average + (1 - decay) * parameter, of all of them (on "cuda" in one launch
  // per dtype and 256 parameters). The first update copies the parameters. DeviceError or
  // ValueError, and nothing is updated, where they are not all on one device, or not as they were
  // at the first update: a model is moved before that.
  void update();
  bool has_begun() const { return !averages_.empty(); }  // there was an update

  // Exchanges the averages and the values of the parameters, whose tensors change hands: nothing is
  // copied, and gradients and optimizers do not notice. A second call gives them back. In between
  // the model is only to be called, and what else is here raises ValueError. ValueError before the
  // first update.
  void swap();

  // Copies the averages into the parameters.
  void apply();

  bool holds(const ParameterState& parameter) const;

  // What the next update depends on beside the parameters, by AveragedModel's names; empty before
  // the first update. The tensors are the average's own: clone() what has to stay as it is.
  //   n_averaged  int64, one element: how many updates there were
  //   module.KEY  the average of a parameter. KEY is its path in the module, or its number where it
  //               has none or shares it
  StateDict state_dict() const;
  // Takes such a state, from any device; an empty one is that before the first update. ValueError
  // that names the key for what is not one of these parameters, and nothing is changed then.
  void load_state_dict(const StateDict& state);

 private:
  void check_not_swapped(const char* what) const;
  void check_unchanged() const;
  void begin();
  std::vector<Tensor> read_averages(const StateDict& state) const;

  ParameterStates parameters_;
  std::vector<std::string> keys_;  // of the parameters
  AverageConstants constants_;
  std::vector<Tensor> averages_;  // of the parameters; none before the first update
  StepState state_;
  bool is_swapped_ = false;
};

// The averages are in the model as long as this lives, or until it is told to end. Of null nothing
// is.
class AverageScope {
 public:
  explicit AverageScope(ParameterAverage& average) : AverageScope(&average) {}
  explicit AverageScope(ParameterAverage* average) : average_(average) { swap(); }
  ~AverageScope() { end(); }
  AverageScope(const AverageScope&) = delete;
  AverageScope& operator=(const AverageScope&) = delete;

  void end() {
    swap();
    average_ = nullptr;
  }

 private:
  void swap() {
    if (average_ != nullptr) {
      average_->swap();
    }
  }

  ParameterAverage* average_;
};

}  // namespace warptape
