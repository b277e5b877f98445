#pragma once
// What `warptape bench weight_norm` times: weights of one shape or of a whole model, with their
// gradients.

#include <memory>
#include <string>
#include <vector>

#include "core/tape.h"
#include "kernels/weight_norm/weight_norm.h"

namespace warptape::tools {

// Weights that are computed together, all of one dim.
struct WeightNormCase {
  std::string name;
  std::vector<Shape> shapes;
  int dim = 0;

  int64_t numel() const;  // of all weights
};

// Shapes of layers, from a first convolution's to a large embedding's, and of two models.
std::vector<WeightNormCase> weight_norm_bench_cases();

// Random weights in float32 with random gradients. Each with what prepares it, in turn:
// forward(), backward(), and again.
class WeightNormWork {
 public:
  WeightNormWork(const WeightNormCase& of, Device device);

  void prepare_forward();  // ends the last tape; as in training, v and g count as changed
  // Computes w where it lies: a single weight by weight_norm(), several by weight_norm_together().
  void forward();
  void prepare_backward();  // empties gradients, and copies those of w, which backward() hands on
  void backward();
  // The kernels alone, on "cuda". After forward() and backward() have run once.
  void run_forward_kernels();
  void run_backward_kernels();

  // Bytes that have to move: v read and w written; v and dw read, dv written; and what there is of
  // every norm: g, 1 / ||v||, the gradient of g.
  int64_t forward_bytes() const;
  int64_t backward_bytes() const;

 private:
  std::vector<Parameter> v_;
  std::vector<Parameter> g_;
  std::vector<Tensor> dw_;
  std::vector<std::unique_ptr<WeightNormCache>> caches_;
  std::vector<WeightNormUse> uses_;
  std::vector<Tensor> handed_on_;  // copies of dw_
  std::unique_ptr<Tape> tape_;
  Tensor end_;  // whose gradient by each w is dw
  int64_t elements_ = 0;
  int64_t norms_ = 0;
};

}  // namespace warptape::tools
