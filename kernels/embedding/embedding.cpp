#include "kernels/embedding/embedding.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/linear_map.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "kernels/embedding/embedding_kernels.h"

namespace warptape {
namespace {

constexpr const char* name = "embedding";

void check_operands(const Operand& index, const Operand& weight) {
  const Site& site = index.site();
  check_defined(name, index);
  check_floating(name, weight);
  check<DTypeError>(index.dtype() == int64, site, "[{}] index: got {}, wanted int64", name,
                    to_string(index.dtype()));
  check<DeviceError>(index.device() == weight.device(), site,
                     "[{}] devices: got {} and {}, wanted one device", name,
                     to_string(index.device()), to_string(weight.device()));
  check<ShapeError>(weight.rank() == 2, site, "[{}] weight: got shape {}, wanted (V, D)", name,
                    weight.shape());
  check<ShapeError>(weight.size(0) > 0 || index.numel() == 0, site,
                    "[{}] weight: got shape {}, and has no row to take", name, weight.shape());
  constexpr int64_t most = (int64_t{1} << 31) - 65536;  // are sorted as 32 bits
  for (const int64_t size : {index.numel(), weight.size(0)}) {
    check<ValueError>(size <= most, site, "[{}] indices and rows: got {}, wanted at most {}", name,
                      size, most);
  }
}

// The row that gets no gradient; -1: none.
int64_t padding_row(const EmbeddingOptions& options, int64_t rows, const Site& site) {
  if (!options.padding_idx) {
    return -1;
  }
  const int64_t given = *options.padding_idx;
  check<ValueError>(given >= -rows && given < rows, site,
                    "[{}] padding_idx: got {}, wanted {} to {} for {} rows", name, given, -rows,
                    rows - 1, rows);
  return given < 0 ? given + rows : given;
}

void sum_rows(const EmbeddingRows& rows, const Tensor& index, const Tensor& dy, Tensor& dweight) {
  on_device(
      name, dy.device(), [&] { embedding_backward_cpu(rows, index, dy, dweight); },
      [&] { embedding_backward_cuda(rows, index, dy, dweight); });
}

void backward(Backward& context, const EmbeddingRows& rows, const Tensor& index, DType dtype) {
  if (!context.needs(1)) {
    return;
  }
  const Tensor dy = primitives::relayout(context.grad(), MemoryFormat::RowMajor);
  Tensor dweight = context.overwrite(1, compute_dtype(dtype));
  sum_rows(rows, index, dy, dweight);
}

// The padding row has no gradient, but its elements are read.
void backward_as_ops(Backward& context, const EmbeddingRows& rows, const Tensor& index) {
  if (!context.needs(1)) {
    return;
  }
  const auto taken = [rows, index](const Tensor& weight) {
    Tensor used = weight;
    if (rows.padding >= 0) {
      used = weight.clone();
      Tensor padding = used.slice(rows.padding, rows.padding + 1);
      primitives::fill(padding, 0);
    }
    return embedding(index, used);
  };
  const auto summed = [rows, index](const Tensor& dy) {
    Tensor dweight = Tensor::empty({rows.rows, rows.columns}, dy.dtype(), dy.device());
    sum_rows(rows, index, primitives::relayout(dy, MemoryFormat::RowMajor), dweight);
    return dweight;
  };
  give_transposed(context, {name, taken, summed}, 1);
}

}  // namespace

Tensor embedding(const Operand& index, const Operand& weight, EmbeddingOptions options) {
  check_operands(index, weight);
  const EmbeddingRows rows{index.numel(), weight.size(0), weight.size(1),
                           padding_row(options, weight.size(0), index.site())};
  Shape shape = index.shape();
  shape.append(rows.columns);
  check_countable(name, "output", shape, weight.dtype(), index.site());
  const profile::Range range(name);
  const Tensor by_rows = primitives::relayout(index.tensor(), MemoryFormat::RowMajor);
  Tensor y = Tensor::empty(shape, weight.dtype(), weight.device());
  on_device(
      name, y.device(),
      [&] {
        const BadRow bad = embedding_forward_cpu(by_rows, weight, y);
        check<ValueError>(bad.place < 0, index.site(), "[{}] index {}: got {}, wanted 0 to {}",
                          name, bad.place, bad.value, rows.rows - 1);
      },
      [&] { embedding_forward_cuda(by_rows, weight, y); });
  if (Tape* tape = Tape::recording({&index, &weight})) {
    tape->record(
        name, {&index, &weight}, {&y},
        [rows, saved = Saved(by_rows), dtype = weight.dtype()](Backward& context) {
          context.creates_graph() ? backward_as_ops(context, rows, saved.get())
                                  : backward(context, rows, saved.get(), dtype);
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
