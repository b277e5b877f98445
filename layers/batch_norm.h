#pragma once
#include <optional>
#include <string>

#include "kernels/batch_norm/batch_norm.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn's, with its keys: weight and bias (ones and zeros at the start), running_mean,
// running_var and num_batches_tracked, an int64 buffer of one element. In training they are updated
// where they lie, on the device, by the kernels that read x; a batch without elements leaves them
// as they are. Without running statistics (track_running_stats = false) those of the batch serve
// always. In mixed precision x may be bfloat16; parameters and statistics stay float32 and are read
// as they are, and of a float32 x the output is float32.
class BatchNorm : public Module {
 public:
  struct Options {
    int64_t num_features = 0;
    double eps = 1e-5;
    std::optional<double> momentum = 0.1;  // none: averages of all batches
    bool affine = true;
    bool bias = true;  // where affine
    bool track_running_stats = true;
    DType dtype = float32;
  };

  void fields(Visitor& visit) override;
  Tensor forward(const Operand& x) override;
  std::string settings() const override;
  bool is_norm() const override { return true; }
  const Options& options() const { return options_; }

  Weight weight;
  Parameter bias;
  Buffer running_mean;
  Buffer running_var;
  Buffer num_batches_tracked;

 protected:
  // x has a rank from..to. ValueError names the layer and the option.
  BatchNorm(const char* type, const Options& options, int from, int to, const Site& site);

 private:
  const char* type_;
  Options options_;
  int from_;
  int to_;
};

// Of (N, C) or (N, C, L).
class BatchNorm1d : public BatchNorm {
 public:
  explicit BatchNorm1d(const Options& options, const Site& site = Site::here())
      : BatchNorm("BatchNorm1d", options, 2, 3, site) {}
  explicit BatchNorm1d(int64_t num_features, const Site& site = Site::here())
      : BatchNorm1d(Options{.num_features = num_features}, site) {}
  std::string type_name() const override { return "BatchNorm1d"; }
};

// Of (N, C, H, W).
class BatchNorm2d : public BatchNorm {
 public:
  explicit BatchNorm2d(const Options& options, const Site& site = Site::here())
      : BatchNorm("BatchNorm2d", options, 4, 4, site) {}
  explicit BatchNorm2d(int64_t num_features, const Site& site = Site::here())
      : BatchNorm2d(Options{.num_features = num_features}, site) {}
  std::string type_name() const override { return "BatchNorm2d"; }
};

}  // namespace warptape
