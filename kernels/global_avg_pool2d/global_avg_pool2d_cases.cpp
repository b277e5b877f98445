#include "kernels/global_avg_pool2d/global_avg_pool2d.h"

#include "kernels/cases/case.h"

namespace warptape {

void global_avg_pool2d_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, MemoryFormat format) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format}},
         .run = [](const std::vector<Operand>& in) { return global_avg_pool2d(in[0]); },
         .reference =
             [](const std::vector<Tensor>& in) {
               const Plain x(in[0]);
               Plain y({x.size(0), x.size(1), 1, 1});
               const int64_t pixels = x.size(2) * x.size(3);
               for (int64_t i = 0; i < x.numel(); ++i) {
                 y[i / pixels] += x[i] / static_cast<double>(pixels);
               }
               return y.tensor();
             },
         .tolerance = Tolerance::Reduction});
  };
  add("one_pixel", {2, 3, 1, 1}, MemoryFormat::RowMajor);
  add("row_major", {2, 31, 5, 7}, MemoryFormat::RowMajor);
  add("channels_last", {3, 33, 4, 5}, MemoryFormat::ChannelsLast);
  table.errors.push_back({"rank",
                          [] {
                            global_avg_pool2d(Tensor::zeros({2, 3}));
                          },
                          {"[global_avg_pool2d]", "(2, 3)", "(N, C, H, W)"}});
}

}  // namespace warptape
