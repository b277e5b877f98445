#include "kernels/adaptive_max_pool1d/adaptive_max_pool1d.h"

#include <algorithm>

#include "kernels/pool/pool_cases.h"

namespace warptape {
namespace {

Tensor reference(const Tensor& in, int64_t windows) {
  const Plain x(in);
  Plain y({x.size(0), x.size(1), windows});
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t c = 0; c < x.size(1); ++c) {
      for (int64_t i = 0; i < windows; ++i) {
        const int64_t begin = i * x.size(2) / windows;
        y(n, c, i) = x(n, c, begin);
        for (int64_t t = begin + 1; t * windows < (i + 1) * x.size(2); ++t) {
          y(n, c, i) = std::max(y(n, c, i), x(n, c, t));
        }
      }
    }
  }
  return y.tensor();
}

}  // namespace

void adaptive_max_pool1d_cases(CaseTable& table) {
  constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;
  const auto add = [&](const char* name, const Shape& shape, int64_t output_size,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .fill = Fill::Distinct, .format = format}},
         .run =
             [=](const std::vector<Operand>& in) {
               return adaptive_max_pool1d(in[0], output_size);
             },
         .reference = [=](const std::vector<Tensor>& in) { return reference(in[0], output_size); },
         .tolerance = Tolerance::Reduction});
  };
  add("whole", {2, 3, 7}, 1);
  add("equal", {2, 3, 8}, 4, channels_last);
  add("unequal", {2, 3, 7}, 3);
  add("unequal_packs", {2, 8, 31}, 6, channels_last);
  add("unequal_blocks", {3, 33, 17}, 13, channels_last);
  add("more_than_x", {2, 4, 3}, 7);
  add("empty_batch", {0, 2, 5}, 3);
  const auto expect_error = [&](const char* name, const Shape& shape, int64_t output_size,
                                const std::vector<std::string>& mentions) {
    table.errors.push_back(
        {name, [=] { adaptive_max_pool1d(Tensor::zeros(shape), output_size); }, mentions});
  };
  expect_error("rank", {4, 4}, 2, {"[adaptive_max_pool1d]", "(4, 4)", "(N, C, L)", "cases.cpp"});
  expect_error("output_size", {1, 1, 4}, -1, {"[adaptive_max_pool1d] output_size: got -1"});
  // As adaptive_avg_pool1d; and a pack's indices are twice as long as its elements, so that a load
  // of 16 bytes leaves the other half of its sectors to the next.
  table.measured.push_back(
      pool_case("adaptive_max_pool1d", "windows of 2.5 elements", 8,
                [](const Operand& x) { return adaptive_max_pool1d(x, x.size(2) * 2 / 5); },
                {.moved = 2.5, .efficiency = 0.5}, {8, 64, 1280}));
}

}  // namespace warptape
