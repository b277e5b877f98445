// Training with each step as one graph: the bits of training without, whatever the step has in it.

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <utility>

#include "core/primitives.h"
#include "core/random.h"
#include "core/simt/build.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/max_pool2d.h"
#include "layers/precision.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/weight_norm.h"
#include "models/tcn.h"
#include "tests/core/device/gpu_test.h"
#include "tests/support/heap_count.h"
#include "training/data_loader.h"
#include "training/image_loader.h"
#include "training/optimizers.h"
#include "training/schedules/cosine_annealing_lr.h"
#include "training/trainer.h"

#ifdef WARPTAPE_SIMT
#include "emulator/device/emulated.h"
#endif

namespace warptape {
namespace {

// In every order of the emulated device's queue.
class StepGraph : public GpuTest {
 protected:
  template <class Work>
  void in_each_order(const Work& work) {
#ifdef WARPTAPE_SIMT
    using gpu::emulated::Order;
    const Order before = gpu::emulated::order();
    for (const Order order : {Order::Late, Order::Immediate, Order::Random}) {
      SCOPED_TRACE("order " + std::to_string(static_cast<int>(order)));
      gpu::emulated::set_order(order);
      work();
    }
    gpu::emulated::set_order(before);
#else
    work();
#endif
  }
};

std::vector<int64_t> numbers_to(int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  return numbers;
}

ImageSet random_images(int64_t count) {
  ImageSet set{Tensor::empty({count, 1, 6, 6}, uint8), Tensor::empty({count}, int64)};
  const RandomStream random = Generator(5).next_stream();
  for (int64_t i = 0; i < count * 36; ++i) {
    set.images.mutable_data<uint8_t>()[i] =
        static_cast<uint8_t>(random.word(static_cast<uint64_t>(i)));
  }
  for (int64_t i = 0; i < count; ++i) {
    set.labels.mutable_data<int64_t>()[i] = i % 3;
  }
  return set;
}

// All that a run leaves.
struct Left {
  std::vector<double> numbers;  // of steps and epochs
  std::vector<double> state;    // of the model, the optimizer and the average
  uint64_t streams = 0;
  std::vector<std::string> warnings;
  std::vector<std::string> details;

  bool has_detail(const std::string& text) const {
    for (const std::string& detail : details) {
      if (detail.find(text) != std::string::npos) {
        return true;
      }
    }
    return false;
  }
};

void add(std::vector<double>& to, const StateDict& state) {
  for (const auto& [key, tensor] : state) {
    const std::vector<double> values = tensor.to(cpu).to(float64).to_vector<double>();
    to.insert(to.end(), values.begin(), values.end());
  }
}

// What differs between the tests; the rest of a run.
struct Case {
  std::function<std::unique_ptr<Module>()> model;
  std::function<std::unique_ptr<Optimizer>(const ParameterStates&)> optimizer =
      [](const ParameterStates& states) -> std::unique_ptr<Optimizer> {
    return std::make_unique<SGD>(states, SGD::Options{.lr = 0.05, .momentum = 0.9});
  };
  const char* precision = "float32";
  bool images_on_device = true;
  std::optional<TensorDataset> sequences = {};  // in place of images
  std::optional<double> ema_decay = {};
  TrainingOptions options = {.loss = cross_entropy_loss(), .metric = accuracy(), .epochs = 3};
  std::function<void(const StepMetrics&, Module&, Optimizer&)> on_step = {};
};

// `stop_after` steps it stops, and goes on anew from the position that it has then.
Left train(const Case& run, bool with_graphs, int64_t stop_after = 0) {
  Left left;
  manual_seed(3);
  const std::unique_ptr<Module> model = run.model();
  model->to(cuda);
  set_precision(*model, run.precision);
  const std::unique_ptr<Optimizer> optimizer = run.optimizer(parameters(*model));
  const ImageSet images = to(random_images(10), run.images_on_device ? cuda : cpu);
  const ImageTransform transform{.image_size = 6, .mean = {0.4}, .std = {0.3}};
  const bool of_images = !run.sequences;
  ImageLoaderOptions of{.batch_size = 4, .shuffle = true, .seed = 1, .device = cuda};
  std::unique_ptr<Loader> data;
  std::unique_ptr<Loader> test;
  for (std::unique_ptr<Loader>* loader : {&data, &test}) {
    if (of_images) {
      *loader = std::make_unique<ImageLoader>(images, numbers_to(10), transform, of);
    } else {
      *loader = std::make_unique<DataLoader>(
          *run.sequences,
          DataLoaderOptions{.batch_size = 4, .shuffle = of.shuffle, .seed = 1, .device = cuda});
    }
    of.shuffle = false;
  }
  TrainingOptions options = run.options;
  options.test = test.get();
  options.graph = {.use = with_graphs,
                   .on_warning = [&](const std::string& text) { left.warnings.push_back(text); },
                   .on_detail = [&](const std::string& text) { left.details.push_back(text); }};
  std::optional<ParameterAverage> average;
  if (run.ema_decay) {
    average.emplace(parameters(*model), ParameterAverage::Options{.decay = *run.ema_decay});
    options.average = &*average;
  }
  TrainingCallbacks callbacks;
  TrainingPosition position;
  int64_t steps = 0;
  callbacks.on_step = [&](const StepMetrics& step) {
    left.numbers.insert(left.numbers.end(), {step.loss, step.gradient_norm, step.learning_rate});
    if (run.on_step) {
      run.on_step(step, *model, *optimizer);
    }
  };
  callbacks.on_epoch = [&](const EpochMetrics& epoch) {
    if (!epoch.is_cut_short) {
      left.numbers.insert(left.numbers.end(),
                          {epoch.train_loss, epoch.test->loss, epoch.test->metric.value_or(0)});
    }
  };
  callbacks.should_stop = [&] { return ++steps == stop_after; };
  callbacks.on_checkpoint = [&](const TrainingPosition& at) { position = at; };
  train(*model, *optimizer, *data, options, callbacks);
  if (stop_after > 0) {
    train(*model, *optimizer, *data, options, callbacks, position);
  }
  add(left.state, state_dict(*model));
  add(left.state, optimizer->state_dict());
  if (average) {
    add(left.state, average->state_dict());
  }
  left.streams = default_generator().streams();
  return left;
}

void expect_same_bits(const Left& got, const Left& wanted) {
  EXPECT_EQ(got.numbers, wanted.numbers);
  EXPECT_EQ(got.state, wanted.state);
  EXPECT_EQ(got.streams, wanted.streams);
}

std::unique_ptr<Module> make_mlp() {
  return std::make_unique<Sequential>(Flatten(), Linear(36, 9), ReLU(), Dropout(0.4), Linear(9, 3));
}

std::unique_ptr<Module> make_cnn() {
  Conv2d first({.in_channels = 1, .out_channels = 8, .kernel_size = 3, .padding = 1});
  Conv2d second({.in_channels = 8, .out_channels = 8, .kernel_size = 3, .padding = 1});
  weight_norm(first);
  weight_norm(second);
  return std::make_unique<Sequential>(std::move(first), ReLU(), MaxPool2d({.kernel_size = 2}),
                                      std::move(second), BatchNorm2d(8), ReLU(), Flatten(),
                                      Dropout(0.2), Linear(72, 3));
}

std::unique_ptr<Module> make_tcn() {
  TCN::Options options;
  options.net.input_channels = 2;
  options.net.channels = {5, 5};
  options.net.kernel_size = 3;
  options.output_size = 3;
  return std::make_unique<TCN>(options);
}

TensorDataset random_sequences() {
  Generator generator(8);
  Tensor target = Tensor::empty({10}, int64);
  for (int64_t i = 0; i < 10; ++i) {
    target.mutable_data<int64_t>()[i] = i % 3;
  }
  return {randn({10, 2, 12}, float32, generator), target};
}

std::unique_ptr<Optimizer> make_adam(const ParameterStates& states) {
  return std::make_unique<Adam>(states, Adam::Options{.lr = 0.01});
}

TEST_F(StepGraph, TrainsToTheSameBits) {
  Case run{.model = make_mlp};
  run.options.clip_norm = 0.7;
  const Left wanted = train(run, false);
  in_each_order([&] {
    const Left graph = train(run, true);
    expect_same_bits(graph, wanted);
    EXPECT_EQ(graph.warnings, std::vector<std::string>());
    EXPECT_TRUE(graph.has_detail("a step with 4 rows is one graph of"));
    EXPECT_TRUE(graph.has_detail("a step with 2 rows is one graph of"));
    EXPECT_TRUE(graph.has_detail("a batch of an evaluation with 4 rows is one graph of"));
  });
}

TEST_F(StepGraph, HasConvolutionsNormsSchedulesAndAdamInIt) {
  Case run{.model = make_cnn, .optimizer = make_adam};
  run.options.schedule = with_warmup(cosine_annealing_lr(), {.steps = 3});
  run.options.clip_norm = 0.5;
  const Left wanted = train(run, false);
  in_each_order([&] {
    const Left graph = train(run, true);
    expect_same_bits(graph, wanted);
    EXPECT_EQ(graph.warnings, std::vector<std::string>());
  });
}

TEST_F(StepGraph, ComputesInBfloat16) {
  Case run{.model = make_cnn, .precision = "bf16"};
  run.ema_decay = 0.9;  // evaluations overwrite what steps keep of the weights
  const Left graph = train(run, true);
  expect_same_bits(graph, train(run, false));
  EXPECT_EQ(graph.warnings, std::vector<std::string>());
}

TEST_F(StepGraph, TakesStagedImages) {
  Case run{.model = make_mlp, .images_on_device = false};
  const Left wanted = train(run, false);
  in_each_order([&] {
    const Left graph = train(run, true);
    expect_same_bits(graph, wanted);
    EXPECT_TRUE(graph.has_detail("a step with 4 rows of shape"));
  });
}

TEST_F(StepGraph, TrainsATcnWithAnAverage) {
  Case run{.model = make_tcn, .optimizer = make_adam, .sequences = random_sequences()};
  run.ema_decay = 0.9;
  const Left wanted = train(run, false);
  in_each_order([&] {
    const Left graph = train(run, true);
    expect_same_bits(graph, wanted);
    EXPECT_EQ(graph.warnings, std::vector<std::string>());
  });
}

TEST_F(StepGraph, GoesOnInTheMiddle) {
  Case run{.model = make_mlp, .optimizer = make_adam};
  run.options.schedule = cosine_annealing_lr();
  const Left wanted = train(run, false);
  for (const int64_t stop_after : {2, 5, 7}) {
    expect_same_bits(train(run, true, stop_after), wanted);
  }
}

TEST_F(StepGraph, BeginsAnewWhereAParameterChanges) {
  Case run{.model = make_mlp};
  const auto layer = [](Module& model, size_t i) -> ParameterState& {
    return *parameters(model).at(i);
  };
  for (const int change : {0, 1, 2}) {
    run.on_step = [&](const StepMetrics& step, Module& model, Optimizer& optimizer) {
      if (step.step != 6) {
        return;
      }
      ParameterState& weight = layer(model, 0);
      if (change == 0) {
        weight.requires_grad = false;
      } else if (change == 1) {
        weight.set_value(weight.value.detach().clone());
      } else {
        optimizer.load_state_dict(optimizer.state_dict());
      }
    };
    const Left graph = train(run, true);
    expect_same_bits(graph, train(run, false));
    const char* const texts[] = {"parameter 1.weight was frozen: a step with 4 rows begins anew",
                                 "parameter 1.weight was replaced: a step with 4 rows begins anew",
                                 "the optimizer has loaded a state: a step with"};
    EXPECT_TRUE(graph.has_detail(texts[change])) << change;
  }
}

TEST_F(StepGraph, SeesWhatTheHostChangesBetweenSteps) {
  Case run{.model = make_cnn};
  run.on_step = [](const StepMetrics& step, Module& model, Optimizer& optimizer) {
    if (step.step % 3 == 0) {
      optimizer.set_learning_rate(0.02 / static_cast<double>(step.step));
    } else if (step.step % 3 == 1) {
      const Tensor halved = parameters(model)[0]->value.to(cpu);
      std::vector<float> values = halved.to_vector<float>();
      for (float& value : values) {
        value /= 2;
      }
      optimizer.zero_grad();
      Tensor own = parameters(model)[0]->value;
      primitives::copy(tensor(values, own.shape(), cuda), own);
      default_generator().next_stream();  // a draw of the caller's
    } else {
      EXPECT_FALSE(parameters(model)[0]->grad_is_empty);
      // A pass of the caller's own: the weights that it sees are those of now.
      const Tensor output = model(Tensor::full({2, 1, 6, 6}, 0.5, float32, cuda));
      EXPECT_TRUE(std::isfinite(output.to(cpu).to_vector<float>()[0]));
    }
  };
  const Left wanted = train(run, false);
  in_each_order([&] { expect_same_bits(train(run, true), wanted); });
}

// The v of a weight is frozen, so that no update writes the weight: a pass of the caller's own
// computes it of the g that a replay has left.
TEST_F(StepGraph, LeavesToTheHostWhatItsUpdateDoesNotWrite) {
  std::vector<float> seen;
  Case run{.model = [] {
    std::unique_ptr<Module> model = make_cnn();
    parameters(*model)[1]->requires_grad = false;
    return model;
  }};
  run.on_step = [&](const StepMetrics&, Module& model, Optimizer&) {
    const Tensor output = model(Tensor::full({2, 1, 6, 6}, 0.5, float32, cuda));
    const std::vector<float> values = output.to(cpu).to_vector<float>();
    seen.insert(seen.end(), values.begin(), values.end());
  };
  const Left wanted = train(run, false);
  const std::vector<float> wanted_outputs = std::exchange(seen, {});
  expect_same_bits(train(run, true), wanted);
  EXPECT_EQ(seen, wanted_outputs);
}

// Which its update had written, so that the graph does not compute it.
TEST_F(StepGraph, ComputesAnewWhatTheHostHasMadeStale) {
  for (const char* precision : {"float32", "bf16"}) {
    Case run{.model = make_cnn, .precision = precision};
    run.options.checkpoint_every = 1;  // so that a step is told of before the next one is queued
    run.on_step = [](const StepMetrics& step, Module& model, Optimizer&) {
      if (step.step == 4) {
        for (const auto& state : parameters(model)) {
          primitives::copy(Tensor::full(state->value.shape(), 0.25, float32, cuda), state->value);
        }
      }
    };
    expect_same_bits(train(run, true), train(run, false));
  }
}

TEST_F(StepGraph, GoesWithoutWhereTheHostReads) {
  Case run{.model = make_mlp};
  run.options.loss = [](const Tensor& output, const Tensor& target) {
    const Tensor loss = cross_entropy(output, target);
    static_cast<void>(loss.item());
    return loss;
  };
  const Left graph = train(run, true);
  expect_same_bits(graph, train(run, false));
  ASSERT_EQ(graph.warnings.size(), 2u);  // steps and evaluations
  EXPECT_NE(graph.warnings[0].find("a step cannot be captured as a graph, and goes without: "
                                   "[copy_to_host] is not possible during graph capture"),
            std::string::npos)
      << graph.warnings[0];
}

// What a replayed step asks of the device and of the host's heap, with its batch.
TEST_F(StepGraph, IsOneLaunchBehindTheOneThatWritesWhatDiffers) {
  const std::unique_ptr<Module> model = make_cnn();
  model->to(cuda);
  const ParameterStates states = parameters(*model);
  SGD optimizer(states, {.lr = 0.1});
  ImageLoader data(to(random_images(32), cuda), numbers_to(32),
                   {.image_size = 6, .mean = {0.4}, .std = {0.3}},
                   {.batch_size = 4, .device = cuda});
  BatchGraphs steps(
      {.what = "a step", .model = *model, .states = states, .optimizer = &optimizer},
      [&](const Batch& batch) -> std::vector<Tensor> {
        return {train_step(*model, optimizer, states, batch, cross_entropy_loss(), 1).loss};
      },
      {.use = true});
  data.start(1);
  for (int i = 0; i < 8; ++i) {
    const uint64_t launches = gpu::launches;
    const uint64_t heap = heap_allocations();
    const MemoryStats memory = memory_stats(cuda);
    optimizer.set_learning_rate(0.1 / (i + 1));
    ASSERT_EQ(steps.take(data), 4);
    steps.run();
    EXPECT_EQ(steps.last_was_replayed(), i > 0);
    if (i > 1) {
      EXPECT_EQ(gpu::launches - launches, 1u);
      EXPECT_EQ(memory_stats(cuda).allocations, memory.allocations);
      if (counts_heap_allocations()) {
        EXPECT_LE(heap_allocations() - heap, 4u);
      }
    }
  }
  EXPECT_EQ(steps.take(data), std::nullopt);
}

}  // namespace
}  // namespace warptape
