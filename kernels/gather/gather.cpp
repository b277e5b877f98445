#include "kernels/gather/gather.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/profile.h"
#include "kernels/gather/gather_kernels.h"

namespace warptape {
namespace {

void check_index(const Operand& x, int dim, const Operand& index) {
  const Site& site = x.site();
  check_defined("gather", index);
  check<DTypeError>(index.dtype() == int64, site, "[gather] index: got {}, wanted int64",
                    to_string(index.dtype()));
  check<DeviceError>(index.device() == x.device(), site,
                     "[gather] devices: got {} and {}, wanted one device", to_string(x.device()),
                     to_string(index.device()));
  bool fits = index.rank() == x.rank();
  for (int d = 0; fits && d < x.rank(); ++d) {
    fits = d == dim || index.shape()[d] <= x.shape()[d];
  }
  check<ShapeError>(fits, site,
                    "[gather] index: got shape {}, wanted as many dimensions as x, {}, and none "
                    "longer but dimension {}",
                    index.shape(), x.shape(), dim);
  check<ShapeError>(index.numel() == 0 || x.shape()[dim] > 0, site,
                    "[gather] x: got shape {}, and has no element to take along dimension {}",
                    x.shape(), dim);
}

void backward(const Tensor& dy, int dim, const Tensor& index, const GradientTarget& dx) {
  const GatherLines lines = gather_lines(dx.buffer, dim, index, dy);
  on_device(
      "gather", dy.device(), [&] { gather_backward_cpu(lines, dy, index, dx); },
      [&] { gather_backward_cuda(lines, dy, index, dx); });
}

LinearMap as_map(const Tensor& index, int dim, const Shape& shape, MemoryFormat format) {
  return {"gather", [=](const Tensor& x) { return gather(x, dim, index); },
          [=](const Tensor& dy) {
            const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device(), format);
            backward(dy, dim, index, {dx, WriteMode::Overwrite});
            return dx;
          }};
}

}  // namespace

Tensor gather(const Operand& x, int dim, const Operand& index) {
  check_defined("gather", x);
  const int d = normalized_dim(dim, x.rank(), "gather", x.site());
  check_index(x, d, index);
  check_countable("gather", "output", index.shape(), x.dtype(), x.site());
  const profile::Range range("gather");
  Tensor y = Tensor::empty(index.shape(), x.dtype(), x.device(), x.memory_format());
  const GatherLoop loop = gather_loop(x, d, index, y);
  on_device(
      "gather", x.device(),
      [&] {
        const BadIndex bad = gather_cpu(loop, x, index, y);
        check<ValueError>(bad.place < 0, x.site(), "[gather] index {}: got {}, wanted 0 to {}",
                          bad.place, bad.value, x.shape()[d] - 1);
      },
      [&] { gather_cuda(loop, x, index, y); });
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        "gather", {&x}, {&y},
        [d, saved = Saved(index), shape = x.shape(),
         format = x.memory_format()](Backward& context) {
          if (context.creates_graph()) {
            give_transposed(context, as_map(saved.get(), d, shape, format));
          } else if (context.needs(0)) {
            backward(context.grad(), d, saved.get(), context.into(0));
          }
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
