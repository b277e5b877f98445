#include "kernels/reshape/reshape.h"

#include "kernels/cases/case.h"

namespace warptape {

void reshape_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& from, const std::vector<int64_t>& sizes,
                       const Shape& to, MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = from, .format = format}},
         .run = [sizes](const std::vector<Operand>& in) { return reshape(in[0], sizes); },
         .reference = [to](const std::vector<Tensor>& in) { return in[0].clone().view(to); },
         .tolerance = Tolerance::Exact});
  };
  add("split", {6, 33}, {2, 3, 33}, {2, 3, 33});
  add("infer", {6, 33}, {3, -1}, {3, 66});
  add("to_scalar", {1, 1}, {}, {});
  add("channels_last", {2, 3, 4, 5}, {2, -1}, {2, 60}, MemoryFormat::ChannelsLast);
  add("empty", {0, 4}, {4, 0}, {4, 0});
  table.errors.push_back({"count",
                          [] {
                            reshape(Tensor::zeros({2, 3}), {7});
                          },
                          {"[reshape]", "6", "(2, 3)", "7", "reshape_cases.cpp"}});
  table.errors.push_back({"infer_twice",
                          [] {
                            reshape(Tensor::zeros({4}), {-1, -1});
                          },
                          {"[reshape]", "twice"}});
  table.errors.push_back({"infer_remainder",
                          [] {
                            reshape(Tensor::zeros({4}), {3, -1});
                          },
                          {"[reshape]", "multiple of 3"}});
  table.errors.push_back({"overflow",
                          [] {
                            reshape(Tensor::zeros({0}), {int64_t{1} << 40, int64_t{1} << 40, 0});
                          },
                          {"[reshape]", "overflows"}});
}

}  // namespace warptape
