#pragma once
// Optimizers with PyTorch's names, defaults and update rules. They hold the states of parameters,
// so that moving a module, or assigning to it, does not disturb them. Parameters whose gradient is
// empty, or which require none, are skipped.

#include <memory>
#include <vector>

#include "core/parameter.h"
#include "kernels/optimizer/optimizer_step.h"
#include "layers/state_dict.h"

namespace warptape {

using ParameterStates = std::vector<std::shared_ptr<ParameterState>>;

struct StepOptions {
  // Let there be parameters with a gradient that no optimizer holds.
  bool allow_unheld = false;
};

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
  double learning_rate() const { return learning_rate_; }
  void set_learning_rate(double learning_rate);  // ValueError unless finite and 0 or more

  // What the next step depends on beside parameters, gradients and options:
  //   steps            int64, one element per parameter: how often each was updated; absent before
  //                    the first step
  //   NAME.BUFFER      what the rule keeps of a parameter that was updated. Its name is its path in
  //                    the module, or its number where it has none or shares it; BUFFER is
  //                    PyTorch's: momentum_buffer (SGD with momentum), exp_avg and exp_avg_sq
  //                    (Adam)
  // The tensors are the optimizer's own: clone() what has to stay as it is.
  StateDict state_dict();
  // Takes such a state, from any device; ValueError that names the key for what is not one of this
  // optimizer, and nothing is changed then.
  void load_state_dict(const StateDict& state);

 protected:
  // buffers: the names of the tensors like the parameter that the rule keeps (2 at most).
  Optimizer(const char* name, ParameterStates parameters, double learning_rate,
            std::vector<const char*> buffers);
  virtual void update(Device device, std::span<ParameterUpdate> updates, StepState& state) = 0;

 private:
  struct Entry {
    std::shared_ptr<ParameterState> parameter;
    std::string key;  // in a state dict
    Tensor first;
    Tensor second;
    Tensor& buffer(size_t i) { return i == 0 ? first : second; }
  };

  void prepare_state(Device device);
  void check_all_held() const;

  const char* name_;
  std::vector<const char*> buffers_;
  double learning_rate_ = 0;
  StepState state_;  // on the parameters' device, from the first step on
  std::vector<Entry> entries_;
};

class SGD : public Optimizer {
 public:
  struct Options {
    double lr = 1e-3;
    double momentum = 0;
    double dampening = 0;
    double weight_decay = 0;
    bool nesterov = false;
  };
  SGD(ParameterStates parameters, Options options);  // ValueError names the option
  explicit SGD(ParameterStates parameters) : SGD(std::move(parameters), Options()) {}

 private:
  void update(Device device, std::span<ParameterUpdate> updates, StepState& state) override;
  SgdConstants constants_;
};

// Adam (Kingma & Ba 2015); weight_decay adds to the gradient.
class Adam : public Optimizer {
 public:
  struct Options {
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0;
  };
  Adam(ParameterStates parameters, Options options)
      : Adam("Adam", std::move(parameters), options, false) {}
  explicit Adam(ParameterStates parameters) : Adam(std::move(parameters), Options()) {}

 protected:
  Adam(const char* name, ParameterStates parameters, Options options, bool decoupled);

 private:
  void update(Device device, std::span<ParameterUpdate> updates, StepState& state) override;
  AdamConstants constants_;
};

// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
class AdamW : public Adam {
 public:
  static constexpr double default_weight_decay = 1e-2;
  struct Options {
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = default_weight_decay;
  };
  AdamW(ParameterStates parameters, Options options)
      : Adam("AdamW", std::move(parameters),
             {options.lr, options.beta1, options.beta2, options.eps, options.weight_decay}, true) {}
  explicit AdamW(ParameterStates parameters) : AdamW(std::move(parameters), Options()) {}
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

}  // namespace warptape
