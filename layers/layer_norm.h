#pragma once
#include <string>

#include "kernels/layer_norm/layer_norm.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn.LayerNorm: over the trailing dimensions normalized_shape, which weight (ones at the
// start) and bias (zeros) have, too. In mixed precision x may be bfloat16; parameters stay float32
// and are read as they are, and of a float32 x the output is float32.
class LayerNorm : public Module {
 public:
  struct Options {
    Shape normalized_shape;
    double eps = 1e-5;
    bool elementwise_affine = true;
    bool bias = true;  // where elementwise_affine
    DType dtype = float32;
  };

  // ValueError names the option.
  explicit LayerNorm(const Options& options, const Site& site = Site::here());
  explicit LayerNorm(const Shape& normalized_shape, const Site& site = Site::here())
      : LayerNorm(Options{.normalized_shape = normalized_shape}, site) {}
  explicit LayerNorm(int64_t features, const Site& site = Site::here())
      : LayerNorm(Shape{features}, site) {}
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "LayerNorm"; }
  std::string settings() const override;
  bool is_norm() const override { return true; }
  const Options& options() const { return options_; }

  Weight weight;
  Parameter bias;

 private:
  Options options_;
};

}  // namespace warptape
