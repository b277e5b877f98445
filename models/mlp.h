#pragma once
#include "layers/linear.h"
#include "layers/relu.h"
#include "models/image_models.h"

namespace warptape {

// A multilayer perceptron of two weight-normalised layers, the least that learns from images:
//   flatten, fc1 (-> 256), ReLU, fc2 (-> num_classes)
// Takes images (N, input_channels, image_size, image_size), returns logits (N, num_classes).
class MLP : public Module {
 public:
  using Options = ImageModelOptions;

  explicit MLP(Options options, const Site& site = Site::here());  // ValueError

  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "MLP"; }
  const Options& options() const { return options_; }

  // The checkpoint tells the number of features alone, not channels and size.
  static ImageModelTold told_by(const StateDict& state);

  Linear fc1;
  ReLU activation;
  Linear fc2;

 private:
  Options options_;
};

}  // namespace warptape
