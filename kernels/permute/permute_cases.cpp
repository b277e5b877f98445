#include "kernels/permute/permute.h"

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

// dims: not negative.
Tensor reference(const Tensor& x, const std::vector<int>& dims) {
  Shape shape;
  for (const int dim : dims) {
    shape.append(x.shape()[dim]);
  }
  const Strides strides = strides_of(x.shape(), MemoryFormat::RowMajor);
  const Plain in(x);
  Plain out(shape);
  for (int64_t flat = 0; flat < out.numel(); ++flat) {
    int64_t rest = flat;
    int64_t from = 0;
    for (int d = shape.rank() - 1; d >= 0; --d) {
      from += rest % shape[d] * strides[static_cast<size_t>(dims[static_cast<size_t>(d)])];
      rest /= shape[d];
    }
    out[flat] = in[from];
  }
  return out.tensor();
}

PreparedKernels measured(const Shape& shape, DType dtype) {
  return all_wide(
      [x = on_cuda(shape, dtype)] {
        permute(x, {0, 2, 3, 1});
      },
      2 * bytes_of(shape, dtype));
}

}  // namespace

void permute_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, const std::vector<int>& dims,
                       const std::vector<int>& asked,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format}},
         .run = [asked](const std::vector<Operand>& in) { return permute(in[0], asked); },
         .reference = [dims](const std::vector<Tensor>& in) { return reference(in[0], dims); },
         .tolerance = Tolerance::Exact});
  };
  add("matrix", {33, 65}, {1, 0}, {1, 0});
  add("packs", {36, 2, 64}, {2, 1, 0}, {2, 1, 0});
  add("round", {2, 3, 5, 4}, {1, 2, 3, 0}, {1, 2, 3, 0});
  add("round_again", {2, 3, 5, 4}, {3, 0, 1, 2}, {-1, 0, -3, 2});
  add("same", {3, 4, 2}, {0, 1, 2}, {0, 1, 2});
  add("channels_last_to_pixels", {2, 8, 3, 5}, {0, 2, 3, 1}, {0, 2, 3, 1},
      MemoryFormat::ChannelsLast);
  add("high_rank", {2, 3, 1, 2, 3, 2}, {5, 3, 1, 0, 2, 4}, {5, 3, 1, 0, 2, 4});
  add("empty", {2, 0, 3}, {2, 0, 1}, {2, 0, 1});
  add("scalar", {}, {}, {});
  table.errors.push_back({"dim",
                          [] {
                            permute(Tensor::zeros({2, 3}), {0, 2});
                          },
                          {"[permute]", "got 2", "permute_cases.cpp"}});
  table.errors.push_back({"twice",
                          [] {
                            permute(Tensor::zeros({2, 3}), {1, -1});
                          },
                          {"[permute] dims", "(1, -1)", "(2, 3)"}});
  table.errors.push_back({"too_few",
                          [] {
                            permute(Tensor::zeros({2, 3}), {1});
                          },
                          {"[permute] dims", "(1)", "each of the 2"}});
  table.measured.push_back(
      {"permute", "of (N, C, H, W) to (N, H, W, C)", {8, 64, 32, 32}, measured, layout_bounds});
}

}  // namespace warptape
