// Optimizers on "cuda" against the same on the CPU, whose values PyTorch's goldens hold.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/device/gpu.h"
#include "core/primitives.h"
#include "core/random.h"
#include "tests/core/device/gpu_test.h"
#include "training/optimizers.h"
#include "training/parameter_average.h"

namespace warptape {
namespace {

class OptimizerCuda : public GpuTest {};

// The same parameters on both devices.
struct Twins {
  std::vector<Parameter> host;
  std::vector<Parameter> device;

  void add(int64_t count, DType dtype) {
    const Tensor value = randn({count}, dtype);
    host.emplace_back(value.clone());
    device.emplace_back(value.to(cuda));
    for (Parameter* parameter : {&host.back(), &device.back()}) {
      parameter->state()->grad = Tensor::empty_like(parameter->value());
    }
  }

  // Fresh gradients for all, except for one parameter that gets none in this step.
  void set_gradients(size_t without) {
    for (size_t i = 0; i < host.size(); ++i) {
      const Tensor grad = randn(host[i].value().shape(), host[i].value().dtype());
      host[i].state()->grad = grad.clone();
      device[i].state()->grad = grad.to(cuda);
      host[i].state()->grad_is_empty = i == without;
      device[i].state()->grad_is_empty = i == without;
    }
  }

  static ParameterStates states(const std::vector<Parameter>& parameters) {
    ParameterStates result;
    for (const Parameter& parameter : parameters) {
      result.push_back(parameter.state());
    }
    return result;
  }
};

template <class T>
void expect_close(const Tensor& got, const Tensor& wanted, double bound) {
  const std::vector<T> a = got.to(cpu).to_vector<T>();
  const std::vector<T> b = wanted.to_vector<T>();
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], bound * (1 + std::abs(static_cast<double>(b[i])))) << "element " << i;
  }
}

void expect_same(const Twins& twins) {
  for (size_t i = 0; i < twins.host.size(); ++i) {
    SCOPED_TRACE(fmt::format("parameter {}", i));
    if (twins.host[i].value().dtype() == float32) {
      expect_close<float>(twins.device[i].value(), twins.host[i].value(), 1e-6);
    } else {
      expect_close<double>(twins.device[i].value(), twins.host[i].value(), 1e-14);
    }
  }
}

// Sizes around a pack and a block's chunk of 4,096 floats, in both dtypes.
Twins some_parameters() {
  Twins twins;
  for (int64_t count : {1, 3, 4, 31, 1025, 4096, 4097, 9001}) {
    twins.add(count, float32);
    twins.add(count, float64);
  }
  twins.add(0, float32);
  return twins;
}

template <class Rule>
void check_rule(typename Rule::Options options) {
  Twins twins = some_parameters();
  Rule host(Twins::states(twins.host), options);
  Rule device(Twins::states(twins.device), options);
  for (size_t step = 0; step < 4; ++step) {
    twins.set_gradients(step);  // so that parameters differ in how many steps they have made
    host.step();
    device.step();
    expect_same(twins);
    host.set_learning_rate(options.lr / static_cast<double>(step + 2));
    device.set_learning_rate(options.lr / static_cast<double>(step + 2));
  }
}

TEST_F(OptimizerCuda, SgdEqualsTheCpu) {
  check_rule<SGD>({.lr = 0.1});
  check_rule<SGD>({.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01});
  check_rule<SGD>({.lr = 0.1, .momentum = 0.9, .nesterov = true});
}

TEST_F(OptimizerCuda, AdamEqualsTheCpu) {
  check_rule<Adam>({.lr = 0.01});
  check_rule<Adam>({.lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0.1});
  check_rule<AdamW>({.lr = 0.01, .weight_decay = 0.1});
}

TEST_F(OptimizerCuda, MoreParametersThanATableHolds) {
  Twins twins;
  for (int64_t i = 0; i < 300; ++i) {
    twins.add(1 + i % 7, float32);
  }
  Adam host(Twins::states(twins.host), {.lr = 0.01});
  Adam device(Twins::states(twins.device), {.lr = 0.01});
  for (int step = 0; step < 2; ++step) {
    twins.set_gradients(twins.host.size());
    host.step();
    device.step();
  }
  expect_same(twins);
}

TEST_F(OptimizerCuda, AModelTakesOneLaunchPerDtype) {
  Twins twins = some_parameters();
  SGD sgd(Twins::states(twins.device), {.lr = 0.1, .momentum = 0.9});
  AdamW adamw(Twins::states(twins.device), {.lr = 0.1});
  for (Optimizer* optimizer : std::initializer_list<Optimizer*>{&sgd, &adamw}) {
    twins.set_gradients(twins.device.size());
    optimizer->step();  // allocates and fills its state
    const uint64_t before = gpu::launches;
    optimizer->step();
    EXPECT_EQ(gpu::launches - before, 2u);
  }
}

TEST_F(OptimizerCuda, AveragesEqualTheCpusInOneLaunchPerDtype) {
  Twins twins = some_parameters();
  ParameterAverage host(Twins::states(twins.host), {.decay = 0.9});
  ParameterAverage device(Twins::states(twins.device), {.decay = 0.9});
  for (int update = 0; update < 3; ++update) {
    for (size_t i = 0; i < twins.host.size(); ++i) {
      const Tensor value = randn(twins.host[i].value().shape(), twins.host[i].value().dtype());
      twins.host[i].assign(value);
      twins.device[i].assign(value);
    }
    host.update();
    const uint64_t before = gpu::launches;
    device.update();
    EXPECT_EQ(gpu::launches - before, update == 0 ? 5u : 2u) << "its state is filled at first";
    const AverageScope host_scope(host);
    const AverageScope device_scope(device);
    expect_same(twins);
  }
}

// 256 tensors fill a table; a block sums 16,384 floats or 8,192 doubles.
TEST_F(OptimizerCuda, GradientsOfMoreTensorsThanATableHoldsAreClipped) {
  Twins twins;
  for (int64_t i = 0; i < 600; ++i) {
    twins.add(1 + i % 7, i % 2 == 0 ? float32 : float64);
  }
  for (const int64_t count : {8193, 16384, 16385, 40001}) {
    twins.add(count, float32);
    twins.add(count, float64);
  }
  twins.set_gradients(twins.host.size());
  const double host = clip_grad_norm(Twins::states(twins.host), 0.5);
  const double device = clip_grad_norm(Twins::states(twins.device), 0.5);
  EXPECT_NEAR(device / host, 1, 1e-14);
  for (size_t i = 0; i < twins.host.size(); ++i) {
    if (twins.host[i].value().dtype() == float64) {
      expect_close<double>(twins.device[i].state()->grad, twins.host[i].state()->grad, 1e-14);
    } else {
      expect_close<float>(twins.device[i].state()->grad, twins.host[i].state()->grad, 1e-6);
    }
  }
}

TEST_F(OptimizerCuda, GradientsAreClippedAsOnTheCpu) {
  for (double max_norm : {0.5, 1e6}) {  // clipped, and left as they are
    Twins twins = some_parameters();
    twins.set_gradients(2);
    const double host = clip_grad_norm(Twins::states(twins.host), max_norm);
    const double device = clip_grad_norm(Twins::states(twins.device), max_norm);
    EXPECT_NEAR(device / host, 1, 1e-14);
    EXPECT_NEAR(grad_norm(Twins::states(twins.device)), std::min(host, max_norm), 1e-3);
    for (size_t i = 0; i < twins.host.size(); ++i) {
      if (twins.host[i].value().dtype() == float64) {
        expect_close<double>(twins.device[i].state()->grad, twins.host[i].state()->grad, 1e-14);
      }
    }
  }
}

TEST_F(OptimizerCuda, NormsOfAnySizeAreFoundAndClipped) {
  for (DType dtype : {float32, float64}) {
    const std::vector<double> sizes = dtype == float32
                                          ? std::vector<double>{0x1p-110, 0x1p+110}
                                          : std::vector<double>{0x1p-700, 0x1p-1, 0x1p+700};
    for (double size : sizes) {
      for (int64_t count : {2, 5001}) {  // one block, and several
        Twins twins;
        twins.add(count, dtype);
        for (const auto& states : {Twins::states(twins.host), Twins::states(twins.device)}) {
          const Tensor grad = Tensor::full({count}, 3 * size, dtype);
          states[0]->grad = grad.to(states[0]->value.device());
          states[0]->grad_is_empty = false;
          const double wanted = 3 * size * std::sqrt(static_cast<double>(count));
          EXPECT_NEAR(grad_norm(states) / wanted, 1, 1e-12);
          EXPECT_NEAR(clip_grad_norm(states, 1) / wanted, 1, 1e-12);
          const Tensor clipped = primitives::cast(states[0]->grad.to(cpu), float64);
          const double left = std::min(wanted, 1.0) / std::sqrt(static_cast<double>(count));
          EXPECT_NEAR(clipped.to_vector<double>()[1] / left, 1, 1e-5);
        }
      }
    }
  }
}

TEST_F(OptimizerCuda, NeitherStepsNorCountsFrozenParametersWithAnOldGradient) {
  Twins twins;
  twins.add(5, float64);
  twins.add(5, float64);
  twins.set_gradients(2);
  const ParameterStates states = Twins::states(twins.device);
  Adam optimizer(states, {.lr = 0.1});
  const std::vector<double> before = states[1]->value.to_vector<double>();
  states[1]->requires_grad = false;
  EXPECT_NEAR(grad_norm(states), grad_norm({twins.host[0].state()}), 1e-14);
  optimizer.step();
  EXPECT_EQ(states[1]->value.to_vector<double>(), before);
}

TEST_F(OptimizerCuda, ParametersOnTwoDevicesAreRefused) {
  Twins twins;
  twins.add(3, float32);
  twins.set_gradients(1);
  SGD both({twins.device[0].state(), twins.host[0].state()}, {.lr = 0.1});
  EXPECT_THROW(both.step(), DeviceError);
}

// The rate and the steps lie in device memory, so that a captured step goes on as eager ones do.
TEST_F(OptimizerCuda, ACapturedStepSeesNewRatesAndCountsItsSteps) {
  const gpu::Stream stream;
  const gpu::StreamScope scope(stream);
  Twins twins;
  twins.add(1025, float64);
  twins.set_gradients(1);
  Adam host(Twins::states(twins.host), {.lr = 0.1});
  Adam device(Twins::states(twins.device), {.lr = 0.1});
  host.step();
  device.step();  // allocates what a capture must not
  const gpu::Graph graph(stream, [&] { device.step(); });
  for (double rate : {0.1, 0.01, 0.2}) {
    host.set_learning_rate(rate);
    device.set_learning_rate(rate);
    host.step();
    graph.launch(stream.handle());
    expect_same(twins);
  }
}

}  // namespace
}  // namespace warptape
