#include "kernels/cases/case.h"
#include "kernels/channel_dropout/channel_dropout.h"

namespace warptape {

void channel_dropout_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, double p, bool training,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format}},
         .run =
             [p, training](const std::vector<Operand>& in) {
               Generator generator(7);
               return channel_dropout(in[0], p, training, generator);
             },
         .reference =
             [p, training](const std::vector<Tensor>& in) {
               const RandomStream stream = Generator(7).next_stream();
               Plain y(in[0]);
               const int64_t channels = y.size(0) * y.size(1);
               for (int64_t i = 0; training && i < y.numel(); ++i) {
                 const int64_t channel = i / (y.numel() / channels);
                 const bool keep = stream.uniform(static_cast<uint64_t>(channel)) >= p;
                 y[i] = keep ? y[i] / (1 - p) : 0;
               }
               return y.tensor();
             },
         .bfloat16_roundings = 4});  // of the mask, which is scaled, and of the product
  };
  add("sequences", {5, 7, 9}, 0.5, true);
  add("channels_last", {3, 8, 6}, 0.3, true, MemoryFormat::ChannelsLast);
  add("images", {2, 5, 3, 4}, 0.2, true, MemoryFormat::ChannelsLast);
  add("rows", {33, 31}, 0.5, true);
  add("all", {2, 3, 5}, 1, true);
  add("eval", {2, 3, 5}, 0.5, false);
  add("empty", {0, 3, 5}, 0.5, true);
  table.errors.push_back({"p",
                          [] {
                            channel_dropout(Tensor::zeros({2, 2}), 1.5);
                          },
                          {"[channel_dropout] p: got 1.5", "0 to 1", "channel_dropout_cases.cpp"}});
  table.errors.push_back({"rank",
                          [] { channel_dropout(Tensor::zeros({2})); },
                          {"[channel_dropout] shape: got (2,)", "(N, C, ...)"}});
}

}  // namespace warptape
