#include "layers/init.h"

#include <cmath>

namespace warptape::init {
namespace {

// A tensor like the weight, to be filled and assigned.
Tensor blank(Weight& weight) {
  return Tensor::empty(weight.shape(), weight.value().dtype());
}

}  // namespace

Fans fans(const Shape& weight) {
  check<ShapeError>(weight.rank() >= 2, "[init] weight: got shape {}, wanted (O, I, ...)", weight);
  double taps = 1;
  for (int d = 2; d < weight.rank(); ++d) {
    taps *= static_cast<double>(weight[d]);
  }
  return {static_cast<double>(weight[1]) * taps, static_cast<double>(weight[0]) * taps};
}

void constant(Weight& weight, double value) {
  weight.assign(Tensor::full(weight.shape(), value, float64));
}

void constant(Parameter& parameter, double value) {
  parameter.assign(Tensor::full(parameter.value().shape(), value, float64));
}

void uniform(Weight& weight, double low, double high, Generator& generator) {
  Tensor values = blank(weight);
  fill_uniform(values, low, high, generator);
  weight.assign(values);
}

void uniform(Parameter& parameter, double low, double high, Generator& generator) {
  Tensor values = Tensor::empty_like(parameter.value());
  fill_uniform(values, low, high, generator);
  parameter.assign(values);
}

void normal(Weight& weight, double mean, double std, Generator& generator) {
  Tensor values = blank(weight);
  fill_normal(values, mean, std, generator);
  weight.assign(values);
}

void normal(Parameter& parameter, double mean, double std, Generator& generator) {
  Tensor values = Tensor::empty_like(parameter.value());
  fill_normal(values, mean, std, generator);
  parameter.assign(values);
}

void kaiming_uniform(Weight& weight, double a, Generator& generator) {
  const double bound = std::sqrt(6 / ((1 + a * a) * fans(weight.shape()).in));
  uniform(weight, -bound, bound, generator);
}

void kaiming_normal(Weight& weight, double a, Generator& generator) {
  normal(weight, 0, std::sqrt(2 / ((1 + a * a) * fans(weight.shape()).in)), generator);
}

void xavier_uniform(Weight& weight, Generator& generator) {
  const Fans fan = fans(weight.shape());
  const double bound = std::sqrt(6 / (fan.in + fan.out));
  uniform(weight, -bound, bound, generator);
}

void xavier_normal(Weight& weight, Generator& generator) {
  const Fans fan = fans(weight.shape());
  normal(weight, 0, std::sqrt(2 / (fan.in + fan.out)), generator);
}

void torch_default(Weight& weight, Parameter& bias, Generator& generator) {
  const double bound = 1 / std::sqrt(fans(weight.shape()).in);
  uniform(weight, -bound, bound, generator);
  if (bias.defined()) {
    uniform(bias, -bound, bound, generator);
  }
}

}  // namespace warptape::init
