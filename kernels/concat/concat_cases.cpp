#include "kernels/concat/concat.h"

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

// dim: not negative.
Tensor reference(const std::vector<Tensor>& in, int dim) {
  Shape shape = in[0].shape();
  shape[dim] = 0;
  int64_t outer = 1;
  int64_t inner = 1;
  for (int d = 0; d < shape.rank(); ++d) {
    (d < dim ? outer : inner) *= d == dim ? 1 : shape[d];
  }
  for (const Tensor& x : in) {
    shape[dim] += x.shape()[dim];
  }
  std::vector<double> values;
  for (int64_t o = 0; o < outer; ++o) {
    for (const Tensor& x : in) {
      const Plain plain(x);
      const int64_t run = x.shape()[dim] * inner;
      for (int64_t i = 0; i < run; ++i) {
        values.push_back(plain[o * run + i]);
      }
    }
  }
  return tensor(values, shape);
}

// Two tensors along the last dimension.
PreparedKernels measured(const Shape& shape, DType dtype) {
  return all_wide(
      [a = on_cuda(shape, dtype), b = on_cuda(shape, dtype)] {
        concat({a, b}, -1);
      },
      4 * bytes_of(shape, dtype));
}

}  // namespace

void concat_cases(CaseTable& table) {
  const auto add = [&](const char* name, const std::vector<Shape>& shapes, int dim,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    std::vector<CaseInput> inputs;
    for (const Shape& shape : shapes) {
      inputs.push_back({.shape = shape, .format = format});
    }
    table.cases.push_back({.name = name,
                           .inputs = inputs,
                           .run = [dim](const std::vector<Operand>& in) { return concat(in, dim); },
                           .reference =
                               [dim, rank = shapes[0].rank()](const std::vector<Tensor>& in) {
                                 return reference(in, dim < 0 ? dim + rank : dim);
                               },
                           .tolerance = Tolerance::Exact});
  };
  add("one", {{3, 5}}, 1);
  add("rows", {{33}, {31}, {1}}, 0);
  add("leading", {{3, 31}, {5, 31}}, 0);
  add("last", {{33, 3}, {33, 5}, {33, 2}}, -1);
  add("last_packs", {{7, 32}, {7, 64}}, 1);
  add("same", {{5, 7}, {5, 7}}, 1);
  add("middle", {{2, 3, 5}, {2, 1, 5}}, 1);
  add("channels", {{2, 8, 3, 4}, {2, 4, 3, 4}}, 1, MemoryFormat::ChannelsLast);
  add("rows_of_channels_last", {{2, 8, 3, 5}, {2, 8, 2, 5}}, 2, MemoryFormat::ChannelsLast);
  add("with_nothing", {{2, 0}, {2, 3}, {2, 0}}, 1);
  add("nothing", {{0, 2}, {0, 3}}, 1);
  table.errors.push_back({"none", [] { concat({}); }, {"[concat]", "got none"}});
  table.errors.push_back({"shapes",
                          [] {
                            concat({Tensor::zeros({2, 3}), Tensor::zeros({3, 3})}, 1);
                          },
                          {"[concat] tensor 1", "(3, 3)", "(2, 3)", "concat_cases.cpp"}});
  table.errors.push_back({"ranks",
                          [] {
                            concat({Tensor::zeros({2, 3}), Tensor::zeros({2})});
                          },
                          {"[concat] tensor 1", "(2,)", "(2, 3)"}});
  table.errors.push_back({"dtypes",
                          [] {
                            concat({Tensor::zeros({2}), Tensor::zeros({2}, uint8)});
                          },
                          {"[concat]", "float32", "uint8"}});
  table.errors.push_back({"dim", [] { concat({Tensor::zeros({2})}, 1); }, {"[concat]", "got 1"}});
  table.errors.push_back({"undefined",
                          [] {
                            concat({Tensor::zeros({2}), Tensor()});
                          },
                          {"[concat]", "undefined"}});
  table.errors.push_back({"count",
                          [] {
                            const Tensor x = Tensor::empty({int64_t{1} << 60, 0});
                            concat({x, x, x, x, x, x, x, x}, 0);
                          },
                          {"[concat]", "overflows 64 bits"}});
  table.measured.push_back({"concat", "of two along the last dimension", {512, 1024}, measured});
}

}  // namespace warptape
