#include <algorithm>

#include "kernels/common/case.h"
#include "kernels/relu/relu.h"

namespace warptape {

void relu_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, MemoryFormat format) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .fill = Fill::AwayFromZero, .format = format}},
         .run = [](const std::vector<Operand>& in) { return relu(in[0]); },
         .reference =
             [](const std::vector<Tensor>& in) {
               Plain y(in[0]);
               for (int64_t i = 0; i < y.numel(); ++i) {
                 y[i] = std::max(y[i], 0.0);
               }
               return y.tensor();
             },
         .flops = static_cast<double>(shape.numel())});
  };
  add("scalar", {}, MemoryFormat::RowMajor);
  add("empty", {0, 3}, MemoryFormat::RowMajor);
  add("one", {1}, MemoryFormat::RowMajor);
  add("31", {31}, MemoryFormat::RowMajor);
  add("33x32", {33, 32}, MemoryFormat::RowMajor);
  add("1025", {1025}, MemoryFormat::RowMajor);
  add("channels_last", {2, 3, 5, 7}, MemoryFormat::ChannelsLast);
  table.errors.push_back({"int64",
                          [] { relu(Tensor::zeros({2}, int64)); },
                          {"[relu]", "int64", "float32 or float64", "relu_cases.cpp"}});
  table.errors.push_back({"undefined", [] { relu(Tensor()); }, {"[relu]", "undefined"}});
}

}  // namespace warptape
