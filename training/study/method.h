#pragma once
// A method, applied to the layers of a model that are weight-normalised as it was made.

#include <memory>
#include <vector>

#include "layers/module.h"
#include "training/optimizer.h"
#include "training/study/plan.h"

namespace warptape::weight_norm_study {

class StudiedModel {
 public:
  // model: on its device, with weight norm where it has it by default. ValueError where no layer
  // has.
  StudiedModel(std::unique_ptr<Module> model, Method method);

  Module& module() { return *whole_; }

  // Of WeightNormInit, before training: takes g and the biases from a batch.
  void begin_with(const Tensor& inputs);

  // Of all parameters. Where rows are kept at norm 1, they are so already.
  std::unique_ptr<Optimizer> make_optimizer(const std::string& name, double learning_rate,
                                            double momentum);

  // The norm of every row of v, or of plain weights, of those layers; a row belongs to an output
  // channel. Reads the device.
  std::vector<double> row_norms() const;

 private:
  std::unique_ptr<Module> whole_;  // the model, with its norms beside it where there are some
  std::vector<Weight*> weights_;   // of the layers
  Method method_;
};

}  // namespace warptape::weight_norm_study
