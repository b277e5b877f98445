// One model on "cuda", called by many threads at once: all on the stream that they share, or each
// on its own.

#include <barrier>
#include <optional>
#include <thread>

#include "core/random.h"
#include "layers/linear.h"
#include "layers/precision.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "models/simple_cnn.h"
#include "tests/core/device/gpu_test.h"

namespace warptape {
namespace {

class ModelThreadsCuda : public GpuTest {};

constexpr size_t threads = 3;

void expect_same_outputs(Module& model, Module& twin, const Tensor& host, bool own_streams) {
  const Tensor x = host.to(cuda);
  model.to(cuda);
  twin.to(cuda);
  const std::vector<float> wanted = in_float32(twin(x)).to_vector<float>();
  gpu::synchronize();  // x and the parameters are there for every stream
  std::vector<std::vector<float>> results(2 * threads);
  {
    std::barrier start(static_cast<std::ptrdiff_t>(threads));
    std::vector<std::thread> running;
    for (size_t i = 0; i < threads; ++i) {
      running.emplace_back([&, i] {
        std::optional<gpu::Stream> stream;
        std::optional<gpu::StreamScope> scope;
        if (own_streams) {
          scope.emplace(stream.emplace());
        }
        start.arrive_and_wait();
        results[2 * i] = in_float32(model(x)).to_vector<float>();
        results[2 * i + 1] = in_float32(model(x)).to_vector<float>();
      });
    }
    for (std::thread& each : running) {
      each.join();
    }
  }
  gpu::synchronize();
  for (const auto& got : results) {
    EXPECT_EQ(got, wanted);
  }
}

TEST_F(ModelThreadsCuda, GetTheSameOnOneStreamAndOnTheirOwn) {
  Linear first(5, 7);
  Linear second(7, 3);
  weight_norm(first);
  weight_norm(second);
  Sequential net(first, ReLU(), second);
  const Tensor x = randn({2, 5});
  for (bool own_streams : {false, true}) {
    for (int round = 0; round < 6; ++round) {
      set_precision(net, round % 2 == 0 ? float32 : bfloat16);
      Sequential model = net;
      Sequential twin = net;
      expect_same_outputs(model, twin, x, own_streams);
    }
  }
}

// As where a thread finds a weight that another one has queued and not waited for.
TEST_F(ModelThreadsCuda, AWeightThatAnotherStreamComputesIsWaitedFor) {
  Linear model(5, 7);
  weight_norm(model);
  const Tensor host = randn({2, 5});
  const std::vector<float> wanted = model(host).to_vector<float>();
  model.to(cuda);
  const Tensor x = host.to(cuda);
  gpu::synchronize();
  const gpu::Stream streams[2];
  std::vector<Tensor> results;
  for (const gpu::Stream& stream : streams) {
    const gpu::StreamScope scope(stream);
    results.push_back(model(x));
  }
  gpu::synchronize();
  for (const Tensor& result : results) {
    const std::vector<float> got = result.to_vector<float>();
    for (size_t i = 0; i < wanted.size(); ++i) {
      EXPECT_NEAR(got[i], wanted[i], 1e-5);
    }
  }
}

TEST_F(ModelThreadsCuda, OfSimpleCNN) {
  const SimpleCNN net(SimpleCNN::Options{.input_channels = 1, .num_classes = 3, .image_size = 4});
  SimpleCNN model = net;
  SimpleCNN twin = net;
  expect_same_outputs(model, twin, randn({1, 1, 4, 4}), true);
}

}  // namespace
}  // namespace warptape
