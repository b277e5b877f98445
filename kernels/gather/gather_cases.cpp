#include "kernels/gather/gather.h"

#include <fmt/format.h>

#include "core/device/device.h"
#include "kernels/cases/measured.h"

namespace warptape {
namespace {

// dim: not negative.
Tensor reference(const Tensor& x, int dim, const Tensor& index) {
  const auto places = index.to_vector<int64_t>();
  const Strides strides = strides_of(x.shape(), MemoryFormat::RowMajor);
  const Plain in(x);
  Plain out(index.shape());
  for (int64_t flat = 0; flat < out.numel(); ++flat) {
    int64_t rest = flat;
    int64_t from = 0;
    for (int d = x.rank() - 1; d >= 0; --d) {
      const int64_t own = rest % index.shape()[d];
      from +=
          (d == dim ? places[static_cast<size_t>(flat)] : own) * strides[static_cast<size_t>(d)];
      rest /= index.shape()[d];
    }
    out[flat] = in[from];
  }
  return out.tensor();
}

// Each row's elements in the reverse order.
PreparedKernels measured(const Shape& shape, DType dtype) {
  const int64_t row = shape[shape.rank() - 1];
  std::vector<int64_t> places(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < places.size(); ++i) {
    places[i] = row - 1 - static_cast<int64_t>(i) % row;
  }
  return all_wide(
      [x = on_cuda(shape, dtype), index = tensor(places, shape, cuda)] { gather(x, -1, index); },
      2 * bytes_of(shape, dtype) + bytes_of(shape, int64));
}

}  // namespace

void gather_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& x, int dim, const Shape& index,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = x, .format = format},
                    {.shape = index,
                     .fill = Fill::Labels,
                     .needs_grad = false,
                     .format = format,
                     .classes = x[dim]}},
         .run = [dim](const std::vector<Operand>& in) { return gather(in[0], dim, in[1]); },
         .reference =
             [dim, rank = x.rank()](const std::vector<Tensor>& in) {
               return reference(in[0], dim < 0 ? dim + rank : dim, in[1]);
             },
         .tolerance = Tolerance::Exact});
  };
  add("row", {31}, 0, {70});
  add("columns", {9, 33}, 1, {9, 5});
  add("rows", {9, 33}, 0, {20, 33});
  add("labels", {33, 10}, -1, {33, 1});
  add("part", {5, 9, 4}, 1, {3, 7, 2});
  add("channels", {2, 8, 3, 5}, 1, {2, 3, 3, 5}, MemoryFormat::ChannelsLast);
  add("rows_of_channels_last", {2, 4, 6, 5}, 2, {2, 3, 4, 5}, MemoryFormat::ChannelsLast);
  add("no_index", {3, 4}, 1, {3, 0});
  add("no_lines", {3, 4}, 1, {0, 2});
  add("of_nothing", {0, 4}, 1, {0, 2});
  const auto numbers = [](const std::vector<int64_t>& values, const Shape& shape) {
    return tensor<int64_t>(values, shape);
  };
  for (const int64_t bad : {int64_t{3}, int64_t{-1}, INT64_MIN}) {
    table.errors.push_back({fmt::format("index_{}", bad < -1  ? "far"
                                                    : bad < 0 ? "low"
                                                              : "high"),
                            [=] {
                              gather(Tensor::zeros({2, 3}), 1, numbers({0, 2, bad, 1}, {2, 2}));
                            },
                            {"[gather] index 2", fmt::format("got {}", bad), "0 to 2"}});
  }
  table.errors.push_back({"index_dtype",
                          [] { gather(Tensor::zeros({2}), 0, Tensor::zeros({2}, uint8)); },
                          {"[gather] index", "uint8", "int64", "gather_cases.cpp"}});
  table.errors.push_back({"index_rank",
                          [=] {
                            gather(Tensor::zeros({2, 3}), 1, numbers({0, 1}, {2}));
                          },
                          {"[gather] index", "(2,)", "(2, 3)"}});
  table.errors.push_back({"index_shape",
                          [=] {
                            gather(Tensor::zeros({1, 3}), 1, numbers({0, 1}, {2, 1}));
                          },
                          {"[gather] index", "(2, 1)", "(1, 3)"}});
  table.errors.push_back({"no_element",
                          [=] {
                            gather(Tensor::zeros({2, 0}), 1, numbers({0, 0}, {2, 1}));
                          },
                          {"[gather] x", "(2, 0)", "no element"}});
  table.errors.push_back(
      {"dim", [=] { gather(Tensor::zeros({2}), 1, numbers({0}, {1})); }, {"[gather]", "got 1"}});
  // Element by element: whoever reads an index reads one element.
  table.measured.push_back({.name = "gather",
                            .runs = "each row in the reverse order",
                            .shape = {512, 1024},
                            .prepare = measured,
                            .bounds = {.by_16 = 0}});
}

}  // namespace warptape
