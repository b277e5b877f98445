#include "kernels/adaptive_avg_pool1d/adaptive_avg_pool1d.h"

#include <cmath>

#include "kernels/pool/pool_cases.h"

namespace warptape {
namespace {

// PyTorch's rule in its own words.
Tensor reference(const Tensor& in, int64_t windows) {
  const Plain x(in);
  Plain y({x.size(0), x.size(1), windows});
  const double step = static_cast<double>(x.size(2)) / static_cast<double>(windows);
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t c = 0; c < x.size(1); ++c) {
      for (int64_t i = 0; i < windows; ++i) {
        // `step` is rounded; what is not whole here is so by more than this.
        const auto begin = static_cast<int64_t>(std::floor(step * static_cast<double>(i) + 1e-9));
        const auto end = static_cast<int64_t>(std::ceil(step * static_cast<double>(i + 1) - 1e-9));
        for (int64_t t = begin; t < end; ++t) {
          y(n, c, i) += x(n, c, t) / static_cast<double>(end - begin);
        }
      }
    }
  }
  return y.tensor();
}

}  // namespace

void adaptive_avg_pool1d_cases(CaseTable& table) {
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  const auto add = [&](const char* name, const Shape& shape, int64_t output_size,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format}},
         .run =
             [=](const std::vector<Operand>& in) {
               return adaptive_avg_pool1d(in[0], output_size);
             },
         .reference = [=](const std::vector<Tensor>& in) { return reference(in[0], output_size); },
         .tolerance = Tolerance::Reduction});
  };
  add("whole", {2, 3, 7}, 1);
  add("equal", {2, 3, 8}, 4, channels_last);
  add("same", {2, 3, 5}, 5);
  add("unequal", {2, 3, 7}, 3);
  add("unequal_packs", {2, 8, 31}, 6, channels_last);
  add("unequal_blocks", {3, 33, 17}, 13, channels_last);
  add("more_than_x", {2, 4, 3}, 7);
  add("multiple_of_x", {1, 2, 4}, 8, channels_last);
  add("of_one", {1, 5, 1}, 4);
  add("empty_batch", {0, 2, 5}, 3);
  const auto expect_error = [&](const char* name, const Shape& shape, int64_t output_size,
                                const std::vector<std::string>& mentions) {
    table.errors.push_back(
        {name, [=] { adaptive_avg_pool1d(Tensor::zeros(shape), output_size); }, mentions});
  };
  expect_error("rank", {1, 1, 4, 4}, 2, {"[adaptive_avg_pool1d]", "(1, 1, 4, 4)", "(N, C, L)"});
  expect_error("output_size", {1, 1, 4}, 0,
               {"[adaptive_avg_pool1d] output_size: got 0, wanted 1 or more", "cases.cpp"});
  expect_error("length", {1, 1, 0}, 2,
               {"[adaptive_avg_pool1d] input length: got 0, wanted 1 or more"});
  expect_error("too_large", {1, 1, 4}, int64_t{1} << 40,
               {"[adaptive_avg_pool1d] output_size", "1099511627776", "at most 268435456"});
  // A window of 2.5 elements reads 3, an element's gradient the 1.2 windows that cover it.
  table.measured.push_back(
      pool_case("adaptive_avg_pool1d", "windows of 2.5 elements", 0,
                [](const Operand& x) { return adaptive_avg_pool1d(x, x.size(2) * 2 / 5); },
                MemoryBounds{.moved = 1.4}, {8, 64, 1280}));
}

}  // namespace warptape
