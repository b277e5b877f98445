#include "models/simple_cnn.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "kernels/flatten/flatten.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

constexpr int64_t channels1 = 64;
constexpr int64_t channels2 = 128;
constexpr int64_t hidden = 256;

SimpleCNN::Options checked(const SimpleCNN::Options& options, const Site& site) {
  check<ValueError>(options.input_channels >= 1, site,
                    "[SimpleCNN] input_channels: got {}, wanted 1 or more", options.input_channels);
  check<ValueError>(options.num_classes >= 1, site,
                    "[SimpleCNN] num_classes: got {}, wanted 1 or more", options.num_classes);
  check<ValueError>(options.image_size >= 4 && options.image_size <= 4096, site,
                    "[SimpleCNN] image_size: got {}, wanted 4 to 4096", options.image_size);
  return options;
}

}  // namespace

SimpleCNN::SimpleCNN(Options options, const Site& site)
    : conv1({.in_channels = checked(options, site).input_channels,
             .out_channels = channels1,
             .kernel_size = 3,
             .padding = 1,
             .dtype = options.dtype}),
      conv2({.in_channels = channels1,
             .out_channels = channels2,
             .kernel_size = 3,
             .padding = 1,
             .dtype = options.dtype}),
      fc1({.in_features = channels2 * (options.image_size / 4) * (options.image_size / 4),
           .out_features = hidden,
           .dtype = options.dtype}),
      fc2({.in_features = hidden, .out_features = options.num_classes, .dtype = options.dtype}),
      pool({.kernel_size = 2}),
      options_(options) {
  if (options.weight_norm) {
    warptape::weight_norm(conv1);
    warptape::weight_norm(conv2);
  }
}

void SimpleCNN::fields(Visitor& visit) {
  visit("conv1", conv1)("conv2", conv2)("fc1", fc1)("fc2", fc2)("pool", pool)("activation",
                                                                              activation);
}

Tensor SimpleCNN::forward(const Operand& x) {
  check_rank("SimpleCNN", x, 4, "(N, C, H, W)");
  check<ShapeError>(x.size(2) == options_.image_size && x.size(3) == options_.image_size, x.site(),
                    "[SimpleCNN] images: got shape {}, wanted (N, {}, {}, {})", x.shape(),
                    options_.input_channels, options_.image_size, options_.image_size);
  const Tensor y = pool(activation(conv1(x)));
  return fc2(activation(fc1(flatten(pool(activation(conv2(y))), 1))));
}

SimpleCNN::Told SimpleCNN::told_by(const StateDict& checkpoint) {
  const StateDict state = without_wrappers(checkpoint);
  Told told;
  // Only shapes that can be this model's count: a size that the file has no data for would make a
  // model far larger than the file.
  const Tensor* filters = find_weight(state, "conv1", 4);
  if (filters != nullptr && filters->size(0) == channels1 && filters->size(2) == 3 &&
      filters->size(3) == 3) {
    told.input_channels = filters->size(1);
    told.dtype = filters->dtype() == float64 ? float64 : float32;
  }
  const Tensor* head = find_weight(state, "fc2", 2);
  if (head != nullptr && head->size(1) == hidden) {
    told.num_classes = head->size(0);
  }
  const Tensor* features = find_weight(state, "fc1", 2);
  if (features != nullptr && features->size(0) == hidden) {
    const auto side = static_cast<int64_t>(
        std::llround(std::sqrt(static_cast<double>(features->size(1)) / channels2)));
    if (side >= 1 && side <= 1024 && channels2 * side * side == features->size(1)) {
      told.image_size = 4 * side;
      told.image_size_step = 4;
    }
  }
  told.weight_norm = !has_key(state, "conv1.weight");
  return told;
}

SimpleCNN::Options SimpleCNN::options_for(const StateDict& state) {
  const Told told = told_by(state);
  Options options;
  options.input_channels = told.input_channels.value_or(options.input_channels);
  options.num_classes = told.num_classes.value_or(options.num_classes);
  options.image_size = told.image_size.value_or(options.image_size);
  options.dtype = told.dtype.value_or(options.dtype);
  options.weight_norm = told.weight_norm;
  return options;
}

ImageModel simple_cnn_model() {
  return {
      .name = "simple_cnn",
      .description = "two weight-normalised convolutions and two linear layers",
      .make = [](const ImageModelOptions& options) { return std::make_unique<SimpleCNN>(options); },
      .told_by = SimpleCNN::told_by};
}

}  // namespace warptape
