#include "core/strided.h"
#include "kernels/cases/measured.h"
#include "kernels/where/where.h"

namespace warptape {
namespace {

Tensor reference(const Tensor& condition, const Tensor& a, const Tensor& b) {
  const Shape values = broadcast_shapes(a.shape(), b.shape(), "reference", {});
  const Shape shape = broadcast_shapes(condition.shape(), values, "reference", {});
  const auto strides = [&](const Tensor& x) {
    return broadcast_strides(x.shape(), MemoryFormat::RowMajor, shape);
  };
  const auto taken = condition.to_vector<uint8_t>();
  const Plain pa(a);
  const Plain pb(b);
  Plain y(shape);
  const auto loop = make_strided_loop<4>(
      shape, MemoryFormat::RowMajor,
      {strides_of(shape, MemoryFormat::RowMajor), strides(condition), strides(a), strides(b)});
  loop.for_each_run(0, shape.numel(), [&](const auto& at, int64_t n, const auto& step) {
    for (int64_t i = 0; i < n; ++i) {
      const bool takes = taken[static_cast<size_t>(at[1] + i * step[1])] != 0;
      y[at[0] + i * step[0]] = takes ? pa[at[2] + i * step[2]] : pb[at[3] + i * step[3]];
    }
  });
  return y.tensor();
}

// uint8 beside two tensors.
PreparedKernels measured(const Shape& shape, DType dtype) {
  const auto op = [condition = on_cuda(shape, uint8)](const std::vector<Tensor>& in) {
    return where(condition, in[0], in[1]);
  };
  // a, b, y; dy, da; dy, db. The condition of each.
  const int64_t wide = 7 * bytes_of(shape, dtype);
  return forward_and_backward({on_cuda(shape, dtype), on_cuda(shape, dtype)}, on_cuda(shape, dtype),
                              op, wide + 3 * bytes_of(shape, uint8), wide);
}

}  // namespace

void where_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& condition, const Shape& a, const Shape& b,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = condition, .fill = Fill::Condition, .needs_grad = false},
                    {.shape = a, .format = format},
                    {.shape = b, .format = format}},
         .run = [](const std::vector<Operand>& in) { return where(in[0], in[1], in[2]); },
         .reference = [](const std::vector<Tensor>& in) { return reference(in[0], in[1], in[2]); },
         .tolerance = Tolerance::Exact});
  };
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  add("same_1025", {1025}, {1025}, {1025});
  add("packs", {2, 64}, {2, 64}, {2, 64});
  add("scalars", {7, 5}, {}, {});
  add("scalar_condition", {}, {7, 5}, {7, 5});
  add("rows", {33, 1}, {33, 31}, {31});
  add("column_condition", {12, 1}, {12, 68}, {68});
  add("high_condition", {2, 3, 4, 5}, {5}, {4, 1});
  add("both", {3, 1, 5}, {2, 3, 1, 1}, {3, 4, 1});
  add("empty", {0, 3}, {3}, {1, 3});
  add("channels_last", {2, 3, 4, 5}, {2, 3, 4, 5}, {2, 3, 4, 5}, channels_last);
  add("channels_last_bias", {2, 8, 3, 5}, {2, 8, 3, 5}, {8, 1, 1}, channels_last);
  const auto zeros = [](const Shape& shape) { return Tensor::zeros(shape); };
  table.errors.push_back({"condition",
                          [zeros] { where(zeros({2}), zeros({2}), zeros({2})); },
                          {"[where]", "float32", "uint8", "where_cases.cpp"}});
  table.errors.push_back({"shapes",
                          [zeros] { where(Tensor::zeros({2}, uint8), zeros({3}), zeros({3})); },
                          {"[where]", "(2,)", "(3,)"}});
  table.errors.push_back(
      {"dtypes",
       [zeros] { where(Tensor::zeros({2}, uint8), zeros({2}), Tensor::zeros({2}, int64)); },
       {"[where]", "float32", "int64"}});
  table.measured.push_back({"where", "forward and backward", {512, 1024}, measured});
}

}  // namespace warptape
