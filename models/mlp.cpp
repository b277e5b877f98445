#include "models/mlp.h"

#include "core/check.h"
#include "kernels/flatten/flatten.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

constexpr int64_t hidden = 256;

int64_t features(const MLP::Options& options, const Site& site) {
  check<ValueError>(options.input_channels >= 1, site,
                    "[MLP] input_channels: got {}, wanted 1 or more", options.input_channels);
  check<ValueError>(options.num_classes >= 1, site, "[MLP] num_classes: got {}, wanted 1 or more",
                    options.num_classes);
  check<ValueError>(options.image_size >= 1 && options.image_size <= 4096, site,
                    "[MLP] image_size: got {}, wanted 1 to 4096", options.image_size);
  return options.input_channels * options.image_size * options.image_size;
}

}  // namespace

MLP::MLP(Options options, const Site& site)
    : fc1({.in_features = features(options, site), .out_features = hidden, .dtype = options.dtype}),
      fc2({.in_features = hidden, .out_features = options.num_classes, .dtype = options.dtype}),
      options_(options) {
  if (options.weight_norm) {
    warptape::weight_norm(fc1);
    warptape::weight_norm(fc2);
  }
}

void MLP::fields(Visitor& visit) {
  visit("fc1", fc1)("activation", activation)("fc2", fc2);
}

Tensor MLP::forward(const Operand& x) {
  check_rank("MLP", x, 4, "(N, C, H, W)");
  check<ShapeError>(x.size(1) == options_.input_channels && x.size(2) == options_.image_size &&
                        x.size(3) == options_.image_size,
                    x.site(), "[MLP] images: got shape {}, wanted (N, {}, {}, {})", x.shape(),
                    options_.input_channels, options_.image_size, options_.image_size);
  return fc2(activation(fc1(flatten(x, 1))));
}

ImageModelTold MLP::told_by(const StateDict& checkpoint) {
  const StateDict state = without_wrappers(checkpoint);
  ImageModelTold told;
  if (const Tensor* weight = find_weight(state, "fc1", 2); weight != nullptr) {
    told.dtype = weight->dtype() == float64 ? float64 : float32;
  }
  const Tensor* head = find_weight(state, "fc2", 2);
  if (head != nullptr && head->size(1) == hidden) {
    told.num_classes = head->size(0);
  }
  told.weight_norm = !has_key(state, "fc1.weight");
  return told;
}

ImageModel mlp_model() {
  return {.name = "mlp",
          .description = "two weight-normalised layers, the least that learns",
          .make = [](const ImageModelOptions& options) { return std::make_unique<MLP>(options); },
          .told_by = MLP::told_by};
}

}  // namespace warptape
