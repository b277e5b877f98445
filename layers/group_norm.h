#pragma once
#include <string>

#include "kernels/group_norm/group_norm.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn.GroupNorm: weight (ones at the start) and bias (zeros) have an element for each
// channel. In mixed precision x may be bfloat16; parameters stay float32 and are read as they are,
// and of a float32 x the output is float32.
class GroupNorm : public Module {
 public:
  struct Options {
    int64_t num_groups = 0;
    int64_t num_channels = 0;
    double eps = 1e-5;
    bool affine = true;
    bool bias = true;  // where affine
    DType dtype = float32;
  };

  // ValueError names the option.
  explicit GroupNorm(const Options& options, const Site& site = Site::here());
  GroupNorm(int64_t num_groups, int64_t num_channels, const Site& site = Site::here())
      : GroupNorm(Options{.num_groups = num_groups, .num_channels = num_channels}, site) {}
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string type_name() const override { return "GroupNorm"; }
  std::string settings() const override;
  bool is_norm() const override { return true; }
  const Options& options() const { return options_; }

  Weight weight;
  Parameter bias;

 private:
  Options options_;
};

}  // namespace warptape
