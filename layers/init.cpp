#include "layers/init.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"
#include "core/primitives.h"

namespace warptape::init {
namespace {

Tensor blank(const Target& target) {
  const Tensor& like = target.like();
  check<ValueError>(like.defined(), "[init] the tensor is undefined");
  return Tensor::empty(like.shape(), like.dtype(), like.device());
}

// Fills a target with numbers in logical order.
void assign(const Target& target, const std::vector<double>& values) {
  target.assign(tensor(values, target.like().shape()));
}

// x with erf(x) = y, for |y| < 1: Winitzki's approximation, which is off by 0.4 % at most, and
// steps of Newton's method.
double inverse_erf(double y) {
  constexpr double a = 0.147;
  const double w = std::log1p(-y * y);
  const double half = 2 / (std::numbers::pi * a) + w / 2;
  double x = std::copysign(std::sqrt(std::sqrt(half * half - w / a) - half), y);
  for (int i = 0; i < 4; ++i) {
    const double slope = 2 / std::sqrt(std::numbers::pi) * std::exp(-x * x);
    x -= (std::erf(x) - y) / slope;
  }
  return x;
}

double norm(const std::vector<double>& row) {
  double sum = 0;
  for (double value : row) {
    sum += value * value;
  }
  return std::sqrt(sum);
}

// Makes a row orthogonal to those before, twice: once leaves what rounding has left.
void make_orthonormal(std::vector<std::vector<double>>& rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    for (int pass = 0; pass < 2; ++pass) {
      for (size_t j = 0; j < i; ++j) {
        double product = 0;
        for (size_t k = 0; k < rows[i].size(); ++k) {
          product += rows[i][k] * rows[j][k];
        }
        for (size_t k = 0; k < rows[i].size(); ++k) {
          rows[i][k] -= product * rows[j][k];
        }
      }
    }
    const double length = norm(rows[i]);
    for (double& value : rows[i]) {
      value /= length;
    }
  }
}

double kaiming_std(const Shape& shape, const KaimingOptions& options) {
  const Fans fan = fans(shape);
  return gain(options.nonlinearity, options.a) /
         std::sqrt(options.mode == Fan::In ? fan.in : fan.out);
}

double xavier_std(const Shape& shape, double gain) {
  const Fans fan = fans(shape);
  return gain * std::sqrt(2 / (fan.in + fan.out));
}

}  // namespace

void Target::assign(const Tensor& values) const {
  check<ValueError>(like_.defined(), "[init] the tensor is undefined");
  if (weight_ != nullptr) {
    weight_->assign(values);
  } else if (parameter_ != nullptr) {
    parameter_->assign(values);
  } else {
    Tensor own = like_;
    primitives::copy(values.to(own.dtype()).to(own.device()), own);
  }
}

Fans fans(const Shape& weight) {
  check<ShapeError>(weight.rank() >= 2, "[init] weight: got shape {}, wanted (O, I, ...)", weight);
  double taps = 1;
  for (int d = 2; d < weight.rank(); ++d) {
    taps *= static_cast<double>(weight[d]);
  }
  return {static_cast<double>(weight[1]) * taps, static_cast<double>(weight[0]) * taps};
}

double gain(Nonlinearity of, double negative_slope) {
  switch (of) {
    case Nonlinearity::Tanh:
      return 5.0 / 3;
    case Nonlinearity::ReLU:
      return std::numbers::sqrt2;
    case Nonlinearity::LeakyReLU:
      return std::sqrt(2 / (1 + negative_slope * negative_slope));
    case Nonlinearity::SELU:
      return 3.0 / 4;
    case Nonlinearity::Linear:
    case Nonlinearity::Sigmoid:
      break;
  }
  return 1;
}

void zeros(const Target& target) {
  constant(target, 0);
}

void ones(const Target& target) {
  constant(target, 1);
}

void constant(const Target& target, double value) {
  target.assign(Tensor::full(blank(target).shape(), value, float64));
}

void uniform(const Target& target, double low, double high, Generator& generator) {
  Tensor values = blank(target);
  fill_uniform(values, low, high, generator);
  target.assign(values);
}

void normal(const Target& target, double mean, double std, Generator& generator) {
  Tensor values = blank(target);
  fill_normal(values, mean, std, generator);
  target.assign(values);
}

void trunc_normal(const Target& target, double mean, double std, double low, double high,
                  Generator& generator) {
  check<ValueError>(low < high, "[trunc_normal] got low {} and high {}, wanted low < high", low,
                    high);
  const RandomStream stream = generator.next_stream();
  check_known_on_host(stream);
  // By the inverse of the distribution: a number per element.
  const double scale = std * std::numbers::sqrt2;
  const double first = std::erf((low - mean) / scale);
  const double last = std::erf((high - mean) / scale);
  std::vector<double> values(static_cast<size_t>(blank(target).numel()));
  for (size_t i = 0; i < values.size(); ++i) {
    const double u = stream.uniform(i) + 0x1p-33;  // in (0, 1)
    const double value = mean + scale * inverse_erf(first + (last - first) * u);
    values[i] = std::isfinite(value) ? std::clamp(value, low, high) : (u < 0.5 ? low : high);
  }
  assign(target, values);
}

void xavier_uniform(const Target& target, double gain, Generator& generator) {
  const double bound = std::sqrt(3.0) * xavier_std(blank(target).shape(), gain);
  uniform(target, -bound, bound, generator);
}

void xavier_normal(const Target& target, double gain, Generator& generator) {
  normal(target, 0, xavier_std(blank(target).shape(), gain), generator);
}

void kaiming_uniform(const Target& target, KaimingOptions options, Generator& generator) {
  const double bound = std::sqrt(3.0) * kaiming_std(blank(target).shape(), options);
  uniform(target, -bound, bound, generator);
}

void kaiming_normal(const Target& target, KaimingOptions options, Generator& generator) {
  normal(target, 0, kaiming_std(blank(target).shape(), options), generator);
}

void orthogonal(const Target& target, double gain, Generator& generator) {
  const Shape shape = blank(target).shape();
  fans(shape);  // rank 2 or more
  const auto rows = static_cast<size_t>(shape[0]);
  const size_t columns = rows == 0 ? 0 : static_cast<size_t>(shape.numel()) / rows;
  const size_t count = std::min(rows, columns);
  const size_t length = std::max(rows, columns);
  const std::vector<double> drawn = randn({shape.numel()}, float64, generator).to_vector<double>();
  std::vector<std::vector<double>> vectors;  // the rows, or the columns
  for (size_t i = 0; i < count; ++i) {
    vectors.emplace_back(drawn.begin() + static_cast<int64_t>(i * length),
                         drawn.begin() + static_cast<int64_t>((i + 1) * length));
  }
  make_orthonormal(vectors);
  std::vector<double> values(drawn.size());
  for (size_t i = 0; i < count; ++i) {
    for (size_t k = 0; k < length; ++k) {
      values[rows <= columns ? i * columns + k : k * columns + i] = gain * vectors[i][k];
    }
  }
  assign(target, values);
}

void torch_default(Weight& weight, Parameter& bias, Generator& generator) {
  const double bound = 1 / std::sqrt(fans(weight.shape()).in);
  uniform(weight, -bound, bound, generator);
  if (bias.defined()) {
    uniform(bias, -bound, bound, generator);
  }
}

}  // namespace warptape::init
