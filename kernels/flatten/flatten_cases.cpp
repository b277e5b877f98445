#include "kernels/flatten/flatten.h"

#include "kernels/cases/case.h"

namespace warptape {

void flatten_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& from, int start, int end, const Shape& to,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = from, .format = format}},
         .run = [=](const std::vector<Operand>& in) { return flatten(in[0], start, end); },
         .reference = [to](const std::vector<Tensor>& in) { return in[0].clone().view(to); },
         .tolerance = Tolerance::Exact});
  };
  add("scalar", {}, 0, -1, {1});
  add("all", {2, 3, 31}, 0, -1, {186});
  add("keep_batch", {2, 3, 4, 5}, 1, -1, {2, 60});
  add("keep_batch_channels_last", {2, 33, 4, 5}, 1, -1, {2, 660}, MemoryFormat::ChannelsLast);
  add("middle", {2, 3, 4, 5}, 1, 2, {2, 12, 5});
  table.errors.push_back({"dim",
                          [] {
                            flatten(Tensor::zeros({2, 3}), 2);
                          },
                          {"[flatten]", "got 2", "-2 to 1"}});
  table.errors.push_back({"order",
                          [] {
                            flatten(Tensor::zeros({2, 3}), 1, 0);
                          },
                          {"[flatten]", "start 1"}});
}

}  // namespace warptape
