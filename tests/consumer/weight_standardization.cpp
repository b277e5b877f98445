#include "weight_standardization.h"

namespace mine {

warptape::Tensor WeightStandardization::materialize(const warptape::Site& site) {
  const warptape::Operand raw(raw_, site.file, site.line);
  const auto rows = raw.shape()[0];
  const warptape::Tensor matrix = warptape::reshape(raw, {rows, -1});
  const warptape::Tensor centred = warptape::sub(matrix, warptape::mean(matrix, {1}, true));
  const warptape::Tensor variance = warptape::mean(warptape::mul(centred, centred), {1}, true);
  const warptape::Tensor scaled =
      warptape::mul(centred, warptape::rsqrt(warptape::add(variance, 1e-5)));
  return warptape::reshape(scaled, {raw.shape().begin(), raw.shape().end()});
}

void standardize(warptape::Module& layer, const warptape::Site& site) {
  warptape::reparametrize(
      layer, "weight",
      [](const warptape::Tensor& weight) {
        return std::make_unique<WeightStandardization>(weight);
      },
      "standardize", site);
}

}  // namespace mine
