#include "kernels/dropout/dropout.h"

#include "core/primitives.h"
#include "kernels/cases/measured.h"

namespace warptape {

void dropout_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, double p, bool training,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back({.name = name,
                           .inputs = {{.shape = shape, .format = format}},
                           .run =
                               [p, training](const std::vector<Operand>& in) {
                                 Generator generator(7);
                                 return dropout(in[0], p, training, generator);
                               },
                           .reference =
                               [p, training](const std::vector<Tensor>& in) {
                                 const RandomStream stream = Generator(7).next_stream();
                                 Plain y(in[0]);
                                 for (int64_t i = 0; training && i < y.numel(); ++i) {
                                   const bool keep = stream.uniform(static_cast<uint64_t>(i)) >= p;
                                   y[i] = keep ? y[i] / (1 - p) : 0;
                                 }
                                 return y.tensor();
                               }});
  };
  add("half", {33, 31}, 0.5, true);
  add("fifth_1025", {1025}, 0.2, true);
  add("channels_last", {2, 3, 4, 5}, 0.3, true, MemoryFormat::ChannelsLast);
  add("packs_of_channels", {2, 8, 2, 6}, 0.3, true, MemoryFormat::ChannelsLast);
  add("two_rounds_of_words", {2, 1111}, 0.4, true);
  add("channels_last_65_pixels", {2, 3, 65}, 0.3, true, MemoryFormat::ChannelsLast);
  add("no_channels", {2, 0, 3}, 0.3, true, MemoryFormat::ChannelsLast);
  add("all", {65}, 1, true);
  add("all_but_one_in_2^32", {65}, 1 - 0x1p-32, true);
  add("eval", {65}, 0.5, false);
  table.errors.push_back(
      {"p", [] { dropout(Tensor::zeros({2}), -0.1); }, {"[dropout]", "-0.1", "0 to 1"}});
  const auto half = [](const std::vector<Tensor>& in) { return dropout(in[0], 0.5); };
  table.measured.push_back(elementwise_case("dropout", 1, 4, half));  // x, y; dy, dx
  const auto channels_last = [half](const Shape& shape, DType dtype) {
    const Tensor x = primitives::relayout(on_cuda(shape, dtype), MemoryFormat::ChannelsLast);
    const int64_t bytes = 4 * bytes_of(shape, dtype);
    return forward_and_backward({x}, x, half, bytes, bytes);
  };
  table.measured.push_back({"dropout_channels_last",
                            "of channels-last images, forward and backward",
                            {8, 64, 32, 32},
                            channels_last});
}

}  // namespace warptape
