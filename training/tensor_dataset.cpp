#include "training/tensor_dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "training/permutation.h"

namespace warptape {

TensorDataset::TensorDataset(const Tensor& input, const Tensor& target)
    : input_(input.detach()), target_(target.detach()) {
  for (const Tensor* tensor : {&input_, &target_}) {
    const char* name = tensor == &input_ ? "input" : "target";
    check<ShapeError>(tensor->rank() >= 1 && tensor->numel() > 0,
                      "[TensorDataset] {}: got shape {}, wanted one or more rows of one or more "
                      "elements",
                      name, tensor->shape());
    check<DeviceError>(tensor->device() == cpu,
                       "[TensorDataset] {}: got it on {}, wanted it on the CPU: a DataLoader "
                       "brings batches to a device",
                       name, to_string(tensor->device()));
  }
  check<ShapeError>(input_.size(0) == target_.size(0),
                    "[TensorDataset] got {} rows of inputs and {} of targets, wanted as many",
                    input_.size(0), target_.size(0));
}

TensorDataset TensorDataset::slice(int64_t begin, int64_t end) const {
  check<ValueError>(begin >= 0 && begin < end && end <= size(),
                    "[TensorDataset] slice: got rows {} to {}, wanted one or more of the {}", begin,
                    end, size());
  return {input_.slice(begin, end), target_.slice(begin, end)};
}

Split random_split(int64_t count, double fraction, uint64_t seed) {
  Split result;
  if (fraction == 0) {
    result.train.resize(static_cast<size_t>(count));
    std::iota(result.train.begin(), result.train.end(), int64_t{0});
    return result;
  }
  const double rows = std::round(static_cast<double>(count) * fraction);
  check<ValueError>(rows >= 1 && rows < static_cast<double>(count),
                    "[random_split] {} of {} rows: wanted at least 1 on either side", rows, count);
  const std::vector<int64_t> order = random_permutation(count, seed, Purpose::Split, 0);
  const auto middle = order.begin() + static_cast<int64_t>(rows);
  result.held_out.assign(order.begin(), middle);
  result.train.assign(middle, order.end());
  std::sort(result.train.begin(), result.train.end());  // unshuffled, they keep their order
  return result;
}

}  // namespace warptape
