#include "kernels/pad/pad.h"

#include <cstdint>

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

Tensor reference(const Tensor& x, const std::vector<int64_t>& padding, double value) {
  const Plain in(x);
  Shape shape = x.shape();
  Strides before{};
  for (size_t i = 0; i < padding.size(); i += 2) {
    const int d = x.rank() - 1 - static_cast<int>(i / 2);
    before[static_cast<size_t>(d)] = padding[i];
    shape[d] += padding[i] + padding[i + 1];
  }
  Plain out(shape);
  for (int64_t flat = 0; flat < out.numel(); ++flat) {
    int64_t rest = flat;
    int64_t from = 0;
    int64_t stride = 1;
    bool inside = true;
    for (int d = shape.rank() - 1; d >= 0; --d) {
      const int64_t index = rest % shape[d] - before[static_cast<size_t>(d)];
      inside = inside && index >= 0 && index < x.shape()[d];
      from += index * stride;
      stride *= x.shape()[d];
      rest /= shape[d];
    }
    out[flat] = inside ? in[from] : value;
  }
  return out.tensor();
}

// Rows with two packs on either side.
PreparedKernels measured(const Shape& shape, DType dtype) {
  const int64_t side = 2 * 16 / size_of(dtype);
  Shape padded = shape;
  padded[shape.rank() - 1] += 2 * side;
  return all_wide(
      [x = on_cuda(shape, dtype), side] {
        pad(x, {side, side});
      },
      bytes_of(shape, dtype) + bytes_of(padded, dtype));
}

}  // namespace

void pad_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, const std::vector<int64_t>& padding,
                       double value, MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format}},
         .run = [=](const std::vector<Operand>& in) { return pad(in[0], padding, value); },
         .reference =
             [=](const std::vector<Tensor>& in) { return reference(in[0], padding, value); },
         .tolerance = Tolerance::Exact});
  };
  add("row", {31}, {3, 5}, 0.5);
  add("last", {33, 31}, {1, 0}, -2);
  add("packs", {9, 32}, {8, 4}, 0.5);
  add("within_packs", {9, 32}, {1, 3}, 0.5);
  add("rows", {7, 32}, {0, 0, 2, 1}, 0.5);
  add("image", {2, 3, 5, 7}, {1, 2, 3, 0}, 1.5);
  add("image_of_channels_last", {2, 8, 5, 3}, {1, 1, 1, 1}, 0.5, MemoryFormat::ChannelsLast);
  add("channels", {2, 4, 3, 5}, {0, 0, 0, 0, 4, 8}, 0.5, MemoryFormat::ChannelsLast);
  add("taken_away", {6, 9}, {-2, -3, -1, 0}, 0.5);
  add("shifted", {6, 9}, {-2, 3, 1, -2}, 0.5);
  add("packs_taken_away", {5, 64}, {-16, -8}, 0.5);
  add("all_taken_away", {3, 4}, {-4, 2}, 0.5);
  add("nothing", {3, 4}, {}, 0.5);
  add("none", {3, 4}, {0, 0, 0, 0}, 0.5);
  add("of_nothing", {2, 0}, {1, 2}, 0.5);
  add("to_nothing", {2, 3}, {-3, 0}, 0.5);
  add("scalar", {}, {}, 0.5);
  table.errors.push_back({"half_a_pair",
                          [] {
                            pad(Tensor::zeros({2, 3}), {1});
                          },
                          {"[pad] padding", "1 numbers", "(2, 3)", "pad_cases.cpp"}});
  table.errors.push_back({"too_many",
                          [] {
                            pad(Tensor::zeros({2}), {1, 1, 1, 1});
                          },
                          {"[pad] padding", "4 numbers", "(2,)"}});
  table.errors.push_back({"too_much_taken_away",
                          [] {
                            pad(Tensor::zeros({2, 3}), {-2, -2});
                          },
                          {"[pad] padding of dimension 1", "-2 and -2", "size 3"}});
  table.errors.push_back({"value",
                          [] {
                            pad(Tensor::zeros({2}, int64), {1, 1}, 0.5);
                          },
                          {"[pad] scalar", "0.5", "int64"}});
  table.measured.push_back(
      {"pad", "with two packs before and behind each row", {512, 1024}, measured});
}

}  // namespace warptape
