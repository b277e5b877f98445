#include "kernels/transpose/transpose.h"

#include <utility>

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

Tensor reference(const Tensor& x, int dim0, int dim1) {
  Shape shape = x.shape();
  std::swap(shape[dim0], shape[dim1]);
  const Plain in(x);
  Plain out(shape);
  for (int64_t flat = 0; flat < in.numel(); ++flat) {
    std::vector<int64_t> index(static_cast<size_t>(x.rank()));
    int64_t rest = flat;
    for (int d = x.rank() - 1; d >= 0; --d) {
      index[static_cast<size_t>(d)] = rest % x.shape()[d];
      rest /= x.shape()[d];
    }
    std::swap(index[static_cast<size_t>(dim0)], index[static_cast<size_t>(dim1)]);
    int64_t target = 0;
    for (int d = 0; d < x.rank(); ++d) {
      target = target * shape[d] + index[static_cast<size_t>(d)];
    }
    out[target] = in[flat];
  }
  return out.tensor();
}

PreparedKernels measured(const Shape& shape, DType dtype) {
  return all_wide([x = on_cuda(shape, dtype)] { transpose(x, 0, -1); }, 2 * bytes_of(shape, dtype));
}

}  // namespace

void transpose_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, int dim0, int dim1,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format}},
         .run = [=](const std::vector<Operand>& in) { return transpose(in[0], dim0, dim1); },
         .reference =
             [dim0, dim1, rank = shape.rank()](const std::vector<Tensor>& in) {
               return reference(in[0], dim0 < 0 ? dim0 + rank : dim0,
                                dim1 < 0 ? dim1 + rank : dim1);
             },
         .tolerance = Tolerance::Exact});
  };
  add("matrix", {33, 65}, 0, 1);
  add("packs", {36, 64}, 0, 1);
  add("batch_of_packs", {2, 16, 3, 12}, 1, 3);
  add("same", {3, 4}, 1, 1);
  add("last_two", {2, 3, 5}, -1, -2);
  add("outer", {2, 3, 5, 4}, 0, 2);
  add("channels_last", {2, 3, 5, 4}, 1, 3, MemoryFormat::ChannelsLast);
  table.errors.push_back({"dim",
                          [] {
                            transpose(Tensor::zeros({2, 3}), 0, 2);
                          },
                          {"[transpose]", "got 2"}});
  table.measured.push_back(
      {"transpose", "of the first and the last dimension", {512, 1024}, measured, layout_bounds});
}

}  // namespace warptape
