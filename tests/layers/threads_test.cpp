// One model called by many threads at once.

#include <gtest/gtest.h>

#include <barrier>
#include <functional>
#include <memory>
#include <thread>

#include "core/random.h"
#include "kernels/ops.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/precision.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "models/simple_cnn.h"

namespace warptape {
namespace {

constexpr int threads = 4;

Linear normed(int64_t in, int64_t out) {
  Linear layer(in, out);
  weight_norm(layer);
  return layer;
}

struct Case {
  const char* name;
  std::function<std::unique_ptr<Module>()> make;
  Shape input;
};

std::vector<Case> cases() {
  return {{"Linear", [] { return std::make_unique<Linear>(normed(5, 3)); }, {2, 5}},
          {"Sequential",
           [] { return std::make_unique<Sequential>(normed(5, 7), ReLU(), normed(7, 3)); },
           {2, 5}},
          {"SimpleCNN",
           [] {
             return std::make_unique<SimpleCNN>(
                 SimpleCNN::Options{.input_channels = 1, .num_classes = 3, .image_size = 4});
           },
           {2, 1, 4, 4}},
          {"Sequential in bfloat16",
           [] {
             auto net = std::make_unique<Sequential>(normed(5, 7), ReLU(), normed(7, 3));
             set_precision(*net, bfloat16);
             return net;
           },
           {2, 5}}};
}

// What each of several threads gets that all begin at once, and call the model twice.
std::vector<std::vector<float>> outputs(Module& model, const Tensor& x) {
  std::vector<std::vector<float>> results(2 * threads);
  std::barrier start(threads);
  std::vector<std::thread> running;
  for (size_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      start.arrive_and_wait();
      results[2 * i] = in_float32(model(x)).to_vector<float>();
      results[2 * i + 1] = in_float32(model(x)).to_vector<float>();
    });
  }
  for (std::thread& each : running) {
    each.join();
  }
  return results;
}

TEST(ModelThreads, GetTheSameColdAndWarm) {
  for (const Case& each : cases()) {
    SCOPED_TRACE(each.name);
    const Tensor x = randn(each.input);
    const int rounds = each.input.rank() == 4 ? 3 : 25;
    for (int round = 0; round < rounds; ++round) {
      manual_seed(round);
      const auto twin = each.make();
      const std::vector<float> wanted = in_float32((*twin)(x)).to_vector<float>();
      manual_seed(round);
      const auto model = each.make();  // its weights are not computed yet
      for (const auto& got : outputs(*model, x)) {
        EXPECT_EQ(got, wanted);
      }
    }
  }
}

TEST(ModelThreads, ModelsThatShareWeightsDoNotWaitInACircle) {
  struct Pair : Module {
    Linear* first = nullptr;
    Linear* second = nullptr;
    void fields(Visitor& visit) override { visit("first", *first)("second", *second); }
    Tensor forward(const Operand& x) override {
      refresh_weight_norm(*this);
      return (*second)((*first)(x));
    }
  };
  const Tensor x = randn({1, 3});
  for (int round = 0; round < 50; ++round) {
    Linear a = normed(3, 3);
    Linear b = normed(3, 3);
    Pair pairs[2];
    pairs[0].first = pairs[1].second = &a;
    pairs[0].second = pairs[1].first = &b;
    std::barrier start(2);
    std::vector<float> results[2];
    const auto call = [&](int i) {
      start.arrive_and_wait();
      results[i] = pairs[i](x).to_vector<float>();
    };
    std::thread other(call, 1);
    call(0);
    other.join();
    EXPECT_EQ(results[0], b(a(x)).to_vector<float>());
    EXPECT_EQ(results[1], a(b(x)).to_vector<float>());
  }
}

}  // namespace
}  // namespace warptape
