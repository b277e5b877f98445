#pragma once
#include <string>

#include "kernels/flatten/flatten.h"
#include "layers/module.h"

namespace warptape {

// As torch.nn.Flatten.
class Flatten : public Module {
 public:
  explicit Flatten(int start_dim = 1, int end_dim = -1)
      : start_dim_(start_dim), end_dim_(end_dim) {}
  Tensor forward(const Operand& x) override { return flatten(x, start_dim_, end_dim_); }
  std::string type_name() const override { return "Flatten"; }
  std::string settings() const override {
    return "start_dim=" + std::to_string(start_dim_) + ", end_dim=" + std::to_string(end_dim_);
  }

 private:
  int start_dim_;
  int end_dim_;
};

}  // namespace warptape
