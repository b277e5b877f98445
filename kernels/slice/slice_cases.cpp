#include "kernels/slice/slice.h"

#include <cstdint>

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

using Bound = std::optional<int64_t>;

// Element by element; start and behind lie in the dimension.
Tensor reference(const Tensor& x, int dim, int64_t start, int64_t behind, int64_t step) {
  const Plain in(x);
  int64_t outer = 1;
  int64_t inner = 1;
  for (int d = 0; d < x.rank(); ++d) {
    (d < dim ? outer : inner) *= d == dim ? 1 : x.shape()[d];
  }
  const int64_t count = start < behind ? (behind - start - 1) / step + 1 : 0;
  std::vector<double> values;
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t r = 0; r < inner; ++r) {
        values.push_back(in[(o * x.shape()[dim] + start + i * step) * inner + r]);
      }
    }
  }
  Shape shape = x.shape();
  shape[dim] = count;
  return tensor(values, shape);
}

PreparedKernels measured(const Shape& shape, DType dtype) {
  const int64_t half = shape[shape.rank() - 1] / 2;
  return all_wide([x = on_cuda(shape, dtype), half] { slice(x, -1, 0, half); },
                  bytes_of(shape, dtype));
}

}  // namespace

void slice_cases(CaseTable& table) {
  struct Range {
    int64_t start;
    int64_t behind;
  };
  const auto add = [&](const char* name, const Shape& shape, int dim, Bound start, Bound end,
                       int64_t step, Range range, MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format}},
         .run = [=](const std::vector<Operand>& in) { return slice(in[0], dim, start, end, step); },
         .reference =
             [=, rank = shape.rank()](const std::vector<Tensor>& in) {
               return reference(in[0], dim < 0 ? dim + rank : dim, range.start, range.behind, step);
             },
         .tolerance = Tolerance::Exact});
  };
  constexpr Bound none = std::nullopt;
  add("leading", {33, 31}, 0, 3, 32, 1, {3, 32});
  add("leading_steps", {33, 31}, 0, 3, none, 4, {3, 33});
  add("last", {33, 70}, 1, 5, 68, 1, {5, 68});
  add("last_packs", {9, 64}, -1, 16, 48, 1, {16, 48});
  add("last_steps", {5, 70}, -1, none, none, 3, {0, 70});
  add("middle", {2, 9, 4}, 1, 2, 7, 1, {2, 7});
  add("middle_steps", {2, 9, 4}, 1, 1, 8, 5, {1, 8});
  add("from_the_end", {2, 9, 3}, 1, -4, -1, 1, {5, 8});
  add("cut_to_the_dimension", {4, 9}, 1, -100, 100, 2, {0, 9});
  add("one_of_a_long_step", {4, 9}, 1, 8, none, INT64_MAX, {8, 9});
  add("all", {3, 5, 4}, 2, none, none, 1, {0, 4});
  add("empty", {3, 5}, 1, 4, 2, 1, {4, 4});
  add("of_nothing", {0, 5}, 1, 1, 4, 1, {1, 4});
  add("channels", {2, 8, 3, 5}, 1, 4, 8, 1, {4, 8}, MemoryFormat::ChannelsLast);
  add("rows_of_channels_last", {2, 8, 6, 5}, 2, 1, none, 2, {1, 6}, MemoryFormat::ChannelsLast);
  table.errors.push_back({"dim",
                          [] {
                            slice(Tensor::zeros({2, 3}), 2);
                          },
                          {"[slice]", "got 2", "slice_cases.cpp"}});
  table.errors.push_back(
      {"step", [] { slice(Tensor::zeros({2}), 0, 0, 2, 0); }, {"[slice] step", "got 0"}});
  table.errors.push_back({"scalar", [] { slice(Tensor::zeros({}), 0); }, {"[slice]", "scalar"}});
  table.errors.push_back({"undefined", [] { slice(Tensor(), 0); }, {"[slice]", "undefined"}});
  table.measured.push_back({"slice", "half of each row", {512, 1024}, measured});
}

}  // namespace warptape
