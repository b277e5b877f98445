#include "kernels/stack/stack.h"

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

// dim: not negative.
Tensor reference(const std::vector<Tensor>& in, int dim) {
  int64_t inner = 1;
  Shape shape;
  for (int d = 0; d <= in[0].rank(); ++d) {
    if (d == dim) {
      shape.append(static_cast<int64_t>(in.size()));
    }
    if (d < in[0].rank()) {
      shape.append(in[0].shape()[d]);
      inner *= d < dim ? 1 : in[0].shape()[d];
    }
  }
  std::vector<double> values;
  const int64_t outer = inner == 0 ? 0 : in[0].numel() / inner;
  for (int64_t o = 0; o < outer; ++o) {
    for (const Tensor& x : in) {
      const Plain plain(x);
      for (int64_t i = 0; i < inner; ++i) {
        values.push_back(plain[o * inner + i]);
      }
    }
  }
  return tensor(values, shape);
}

PreparedKernels measured(const Shape& shape, DType dtype) {
  return all_wide(
      [a = on_cuda(shape, dtype), b = on_cuda(shape, dtype)] {
        stack({a, b});
      },
      4 * bytes_of(shape, dtype));
}

}  // namespace

void stack_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, size_t count, int dim,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = std::vector<CaseInput>(count, {.shape = shape, .format = format}),
         .run = [dim](const std::vector<Operand>& in) { return stack(in, dim); },
         .reference =
             [dim, rank = shape.rank()](const std::vector<Tensor>& in) {
               return reference(in, dim < 0 ? dim + rank + 1 : dim);
             },
         .tolerance = Tolerance::Exact});
  };
  add("one", {5}, 1, 0);
  add("rows", {33}, 3, 0);
  add("columns", {33}, 3, 1);
  add("packs", {7, 64}, 2, 1);
  add("last", {5, 3}, 2, -1);
  add("images", {2, 8, 3, 4}, 2, 0, MemoryFormat::ChannelsLast);
  add("middle_of_channels_last", {2, 4, 3, 5}, 2, -3, MemoryFormat::ChannelsLast);
  add("scalars", {}, 3, 0);
  add("empty", {0, 3}, 2, 1);
  table.errors.push_back({"none", [] { stack({}); }, {"[stack]", "got none"}});
  table.errors.push_back({"shapes",
                          [] {
                            stack({Tensor::zeros({2, 3}), Tensor::zeros({2, 4})});
                          },
                          {"[stack] tensor 1", "(2, 4)", "(2, 3)", "stack_cases.cpp"}});
  table.errors.push_back({"dtypes",
                          [] {
                            stack({Tensor::zeros({2}), Tensor::zeros({2}, int64)});
                          },
                          {"[stack]", "float32", "int64"}});
  table.errors.push_back({"dim", [] { stack({Tensor::zeros({2})}, 2); }, {"[stack]", "got 2"}});
  table.errors.push_back({"rank",
                          [] {
                            stack({Tensor::zeros({1, 1, 1, 1, 1, 1, 1, 1})});
                          },
                          {"[stack] shape", "at most 7"}});
  table.measured.push_back({"stack", "of two", {512, 1024}, measured});
}

}  // namespace warptape
