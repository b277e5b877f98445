#pragma once
#include "layers/conv2d.h"
#include "layers/linear.h"
#include "layers/max_pool2d.h"
#include "layers/relu.h"
#include "models/image_models.h"

namespace warptape {

// A small convolutional classifier whose convolutions are weight-normalised:
//   conv1 3x3 (-> 64, padding 1), ReLU, max pool 2, conv2 3x3 (64 -> 128, padding 1), ReLU, max
//   pool 2, flatten, fc1 (-> 256), ReLU, fc2 (-> num_classes)
// Takes images (N, input_channels, image_size, image_size), returns logits (N, num_classes).
class SimpleCNN : public Module {
 public:
  using Options = ImageModelOptions;  // image_size: 4 or more

  explicit SimpleCNN(Options options, const Site& site = Site::here());  // ValueError
  SimpleCNN(int64_t input_channels, int64_t num_classes, const Site& site = Site::here())
      : SimpleCNN(Options{.input_channels = input_channels, .num_classes = num_classes}, site) {}

  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "SimpleCNN"; }
  const Options& options() const { return options_; }

  // Of the image size it is the smallest: up to 3 more gives the same shapes.
  using Told = ImageModelTold;
  static Told told_by(const StateDict& state);

  // The same with defaults for what the checkpoint does not tell: load_state_dict then says what is
  // wrong.
  static Options options_for(const StateDict& state);

  Conv2d conv1;
  Conv2d conv2;
  Linear fc1;
  Linear fc2;
  MaxPool2d pool;
  ReLU activation;

 private:
  Options options_;
};

}  // namespace warptape
