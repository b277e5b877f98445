#pragma once
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn.Linear: weight (out_features, in_features), bias (out_features), both
// U(+-1 / sqrt(in_features)) at the start.
class Linear : public Module {
 public:
  struct Options {
    int64_t in_features = 0;
    int64_t out_features = 0;
    bool bias = true;
    DType dtype = float32;
  };

  explicit Linear(Options options, const Site& site = Site::here());  // ValueError names the option
  Linear(int64_t in_features, int64_t out_features, const Site& site = Site::here())
      : Linear(Options{.in_features = in_features, .out_features = out_features}, site) {}
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "Linear"; }
  std::string settings() const override;
  const Options& options() const { return options_; }

  Weight weight;
  Parameter bias;

 private:
  Options options_;
};

}  // namespace warptape
