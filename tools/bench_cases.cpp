#include "tools/bench_cases.h"

#include "core/random.h"
#include "kernels/losses/losses.h"
#include "models/image_models.h"
#include "models/tcn.h"
#include "training/optimizers.h"

namespace warptape::tools {
namespace {

constexpr int64_t classes = 10;

Tensor labels(int64_t batch_size) {
  std::vector<int64_t> values(static_cast<size_t>(batch_size));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<int64_t>(i) % classes;
  }
  return tensor(values, {batch_size});
}

StepCase images(const ImageModel& model) {
  return {.name = model.name,
          .description = "images 3x32x32, SGD with momentum",
          .batch_size = 128,
          .make = [make = model.make](int64_t batch_size) {
            return StepParts{
                .model = make({}),
                .batch = {randn({batch_size, 3, 32, 32})
                              .to(MemoryFormat::ChannelsLast),  // as a loader makes them
                          labels(batch_size)},
                .loss = cross_entropy_loss(),
                .make_optimizer = [](const ParameterStates& states) -> std::unique_ptr<Optimizer> {
                  return std::make_unique<SGD>(states, SGD::Options{.lr = 0.01, .momentum = 0.9});
                }};
          }};
}

struct Sequences {
  int64_t input_channels;
  int64_t blocks;
  int64_t channels;
  int64_t kernel_size;
  double dropout;
  int64_t length;
  bool is_regression;  // of one number by its squared error; else the classes of above
};

// The Bai preset with its head on the last step.
std::function<StepParts(int64_t)> of_sequences(const Sequences& of) {
  return [of](int64_t batch_size) {
    TCN::Options options;
    options.output_size = of.is_regression ? 1 : classes;
    options.net.input_channels = of.input_channels;
    options.net.channels.assign(static_cast<size_t>(of.blocks), of.channels);
    options.net.kernel_size = of.kernel_size;
    options.net.block.dropout = of.dropout;
    return StepParts{
        .model = std::make_unique<TCN>(options),
        .batch = {randn({batch_size, of.input_channels, of.length}),
                  of.is_regression ? randn({batch_size, 1}) : labels(batch_size)},
        .loss = of.is_regression
                    ? [](const Tensor& y, const Tensor& target) { return mse_loss(y, target); }
                    : cross_entropy_loss(),
        .make_optimizer = [](const ParameterStates& states) -> std::unique_ptr<Optimizer> {
          return std::make_unique<Adam>(states, Adam::Options{.lr = 0.002});
        }};
  };
}

}  // namespace

Registry<StepCase> step_cases() {
  Registry<StepCase> cases("step", {});
  for (const ImageModel& model : image_models()) {
    cases.add(images(model));
  }
  cases.add({"tcn_adding", "TCN 8x30, k=7, of 2 channels of 600 steps, Adam", 32,
             of_sequences({2, 8, 30, 7, 0, 600, true})});
  cases.add({"tcn_pixels", "TCN 8x25, k=7, dropout 0.05, of 784 steps, Adam", 64,
             of_sequences({1, 8, 25, 7, 0.05, 784, false})});
  cases.add({"tcn_c64", "TCN 4x64, k=3, dropout 0.2, of 64 channels of 1024 steps, Adam", 16,
             of_sequences({64, 4, 64, 3, 0.2, 1024, false})});
  return cases;
}

}  // namespace warptape::tools
