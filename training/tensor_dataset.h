#pragma once
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace warptape {

// Inputs and their targets, row by row, as torch.utils.data.TensorDataset.
class TensorDataset {
 public:
  // ShapeError unless both have as many rows, 1 or more; DeviceError unless both lie on the CPU: a
  // DataLoader brings batches to a device.
  TensorDataset(const Tensor& input, const Tensor& target);

  int64_t size() const { return input_.size(0); }
  const Tensor& input() const { return input_; }
  const Tensor& target() const { return target_; }

  // The rows from begin to end, without a copy. ValueError for none.
  TensorDataset slice(int64_t begin, int64_t end) const;

 private:
  Tensor input_;
  Tensor target_;
};

// Row numbers for training, and held out.
struct Split {
  std::vector<int64_t> train;  // in ascending order
  std::vector<int64_t> held_out;
};

// Holds out that fraction of so many rows; which ones is a function of the seed. ValueError where
// nothing would be left on one side; a fraction of 0 holds out nothing.
Split random_split(int64_t count, double fraction, uint64_t seed);

}  // namespace warptape
