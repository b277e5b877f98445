// Streams on "cuda": one graph per number of steps.

#include "models/sequence_stream.h"

#include <gtest/gtest.h>

#include "core/primitives.h"
#include "core/random.h"
#include "models/tcn.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

class GpuSequenceStreams : public GpuTest {};

TEST_F(GpuSequenceStreams, GoOnInReplaysOfAGraph) {
  TCN::Options options;
  options.net.channels = {3, 3};
  options.net.block.causal = false;
  options.output_size = 2;
  TCN model(options);
  model.to(cuda);
  const SequenceStream stream(model, {.batch = 2, .block = 4});
  const Tensor steps = randn({6, 2, 1, 4}, float32, cuda);
  StreamState state = stream.zeros();
  std::vector<std::vector<float>> wanted;
  for (int64_t i = 0; i < 6; ++i) {
    wanted.push_back(stream.step(state, steps.slice(i, i + 1).view({2, 1, 4})).to_vector<float>());
  }
  stream.reset(state);
  Tensor x = Tensor::empty({2, 1, 4}, float32, cuda);
  Tensor y = Tensor::empty(stream.output_shape(4), float32, cuda);
  gpu::synchronize();
  const gpu::Stream queue;
  const uint64_t launches = gpu::launches;
  const gpu::Graph graph(queue, [&] { stream.step(state, x, y); });
  EXPECT_EQ(gpu::launches - launches, 1u + 2 * 2 + 1 + 1);  // input, convolutions, head, counts
  const gpu::StreamScope scope(queue);
  for (int64_t i = 0; i < 6; ++i) {
    primitives::copy(steps.slice(i, i + 1).view({2, 1, 4}), x);
    graph.launch(queue.handle());
    EXPECT_EQ(y.to_vector<float>(), wanted[static_cast<size_t>(i)]) << i;
  }
}

TEST_F(GpuSequenceStreams, OfEveryOptionGoOnInReplaysOfAGraph) {
  TemporalConvNet::Options options;
  options.channels = {3, 4};
  options.block.causal = false;
  options.block.norm = BlockNorm::Layer;
  options.block.skip_channels = 5;
  options.block.condition_channels = 2;
  TemporalConvNet model(options);
  model.to(cuda);
  const SequenceStream stream(model, {.batch = 2, .block = 4});
  const Tensor steps = randn({6, 2, 1, 4}, float32, cuda);
  const Tensor conditions = randn({6, 2, 2, 4}, float32, cuda);
  const auto call = [](const Tensor& all, int64_t i) {
    return all.slice(i, i + 1).view({2, all.size(2), 4});
  };
  StreamState state = stream.zeros();
  std::vector<std::vector<float>> wanted;
  for (int64_t i = 0; i < 6; ++i) {
    wanted.push_back(
        stream.step_with(state, call(steps, i), call(conditions, i)).to_vector<float>());
  }
  stream.reset(state);
  Tensor x = Tensor::empty({2, 1, 4}, float32, cuda);
  Tensor condition = Tensor::empty({2, 2, 4}, float32, cuda);
  Tensor y = Tensor::empty(stream.output_shape(4), float32, cuda);
  gpu::synchronize();
  const gpu::Stream queue;
  const uint64_t launches = gpu::launches;
  const gpu::Graph graph(queue, [&] { stream.step_with(state, x, condition, y); });
  // Inputs, two convolutions and norms for each block, two skips, the first block's sum, counts.
  EXPECT_EQ(gpu::launches - launches, 2u + 2 * 4 + 2 + 1 + 1);
  const gpu::StreamScope scope(queue);
  for (int64_t i = 0; i < 6; ++i) {
    primitives::copy(call(steps, i), x);
    primitives::copy(call(conditions, i), condition);
    graph.launch(queue.handle());
    EXPECT_EQ(y.to_vector<float>(), wanted[static_cast<size_t>(i)]) << i;
  }
}

}  // namespace
}  // namespace warptape
