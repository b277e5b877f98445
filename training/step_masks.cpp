#include "training/step_masks.h"

#include <utility>

#include "core/check.h"
#include "kernels/gather/gather.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "kernels/sum/sum.h"
#include "kernels/where/where.h"

namespace warptape {
namespace {

std::vector<int64_t> checked_lengths(const char* who, const Tensor& lengths, int64_t least,
                                     int64_t steps, const Site& site) {
  check<DTypeError>(lengths.defined() && lengths.dtype() == int64, site,
                    "[{}] lengths: got {}, wanted int64", who,
                    lengths.defined() ? to_string(lengths.dtype()) : "nothing");
  check<ShapeError>(lengths.rank() == 1, site, "[{}] lengths: got shape {}, wanted (N)", who,
                    lengths.shape());
  std::vector<int64_t> values = lengths.to(cpu).to_vector<int64_t>();
  for (size_t i = 0; i < values.size(); ++i) {
    check<ValueError>(values[i] >= least && values[i] <= steps, site,
                      "[{}] length {}: got {}, wanted {} to {}", who, i, values[i], least, steps);
  }
  return values;
}

void check_steps(const char* who, const Operand& y, const Shape& wanted, const Tensor& other,
                 const char* name) {
  check_rank(who, y, 3, "(N, L, K)");
  check<ShapeError>(other.shape() == wanted, y.site(), "[{}] {}: got shape {} beside {}, wanted {}",
                    who, name, other.shape(), y.shape(), wanted);
}

}  // namespace

Tensor length_mask(const Tensor& lengths, int64_t steps, int64_t warm_up, const Site& site) {
  check<ValueError>(steps >= 1, site, "[length_mask] steps: got {}, wanted 1 or more", steps);
  check<ValueError>(warm_up >= 0, site, "[length_mask] warm_up: got {}, wanted 0 or more", warm_up);
  const std::vector<int64_t> ends = checked_lengths("length_mask", lengths, 0, steps, site);
  const auto rows = static_cast<int64_t>(ends.size());
  Tensor mask = Tensor::zeros({rows, steps}, uint8);
  uint8_t* to = mask.mutable_data<uint8_t>();
  for (int64_t i = 0; i < rows; ++i, to += steps) {
    for (int64_t t = warm_up; t < ends[static_cast<size_t>(i)]; ++t) {
      to[t] = 1;
    }
  }
  return mask.to(lengths.device());
}

Tensor masked_mean(const Operand& y, const Operand& mask) {
  check_rank("masked_mean", y, 3, "(N, L, K)");
  check_steps("masked_mean", y, {y.size(0), y.size(1)}, mask, "mask");
  check<DTypeError>(mask.dtype() == uint8, y.site(), "[masked_mean] mask: got {}, wanted uint8",
                    to_string(mask.dtype()));
  const Tensor counts = reshape(mask, {y.size(0), y.size(1), 1});
  // A mask may have any number but 0 where a step counts.
  const Tensor ones = where(counts, Tensor::ones({1}, y.dtype(), y.device()), 0.0);
  return sum(where(counts, y, 0.0), {1}) / sum(ones, {1});
}

Tensor last_steps(const Operand& y, const Tensor& lengths) {
  check_rank("last_steps", y, 3, "(N, L, K)");
  check_steps("last_steps", y, {y.size(0)}, lengths, "lengths");
  const std::vector<int64_t> ends = checked_lengths("last_steps", lengths, 1, y.size(1), y.site());
  const int64_t size = y.size(2);
  Tensor index = Tensor::empty({y.size(0), 1, size}, int64);
  int64_t* to = index.mutable_data<int64_t>();
  for (const int64_t end : ends) {
    std::fill(to, to + size, end - 1);
    to += size;
  }
  return reshape(gather(y, 1, index.to(y.device())), {y.size(0), size});
}

Loss skip_warm_up(Loss loss, int64_t steps) {
  check<ValueError>(steps >= 0, "[skip_warm_up] steps: got {}, wanted 0 or more", steps);
  if (steps == 0) {
    return loss;
  }
  return [loss = std::move(loss), steps](const Tensor& output, const Tensor& target) {
    check<ShapeError>(output.rank() >= 2 && target.rank() >= 2 && output.size(1) > steps &&
                          output.size(1) == target.size(1),
                      "[skip_warm_up] got outputs {} and targets {}, wanted as many steps of both, "
                      "more than the {} that are left out",
                      output.shape(), target.shape(), steps);
    return loss(slice(output, 1, steps), slice(target, 1, steps));
  };
}

}  // namespace warptape
