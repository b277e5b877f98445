#include "layers/spectral_norm.h"

#include <algorithm>

#include "core/check.h"
#include "core/random.h"
#include "kernels/ops.h"

namespace warptape {
namespace {

constexpr int steps_at_start = 15;  // as in PyTorch

// As a matrix with `dim` for its rows; recorded if the weight is.
Tensor matrix_of(const Operand& weight, int dim) {
  if (dim == 0) {
    return reshape(weight, {weight.shape()[0], -1});
  }
  std::vector<int> dims{dim};
  for (int other = 0; other < weight.rank(); ++other) {
    if (other != dim) {
      dims.push_back(other);
    }
  }
  return reshape(permute(weight, dims), {weight.shape()[dim], -1});
}

// (n, 1), over its norm, of eps at least.
Tensor normalized(const Tensor& vector, double eps) {
  const Tensor norm = sqrt(sum(mul(vector, vector)));
  return div(vector, maximum(norm, eps));
}

Tensor column(const Tensor& vector) {
  return vector.view({vector.numel(), 1});
}

}  // namespace

SpectralNorm::SpectralNorm(const Tensor& weight, int dim, const SpectralNormOptions& options)
    : original_(weight.detach().clone()),
      dim_(dim),
      n_power_iterations_(options.n_power_iterations),
      eps_(options.eps) {
  if (weight.rank() < 2) {
    return;
  }
  const auto drawn = [&](int64_t count) {
    const Tensor vector = randn({count, 1}, weight.dtype()).to(weight.device());
    return Buffer(normalized(vector, eps_).view({count}));
  };
  const int64_t rows = weight.size(dim_);
  u_ = drawn(rows);
  v_ = drawn(weight.numel() / std::max<int64_t>(rows, 1));
  improve(steps_at_start);
}

void SpectralNorm::improve(int steps) {
  const Tensor matrix = matrix_of(original_.value().detach(), dim_);
  Tensor u = column(u_.value());
  Tensor v = column(v_.value());
  for (int step = 0; step < steps; ++step) {
    u = normalized(matmul(matrix, v), eps_);
    v = normalized(matmul(matrix, u, {.transpose_a = true}), eps_);
  }
  // In place: a captured step reads them where they are.
  u_.assign(u.view({u.numel()}));
  v_.assign(v.view({v.numel()}));
}

void SpectralNorm::split(const Tensor& weight) {
  original_.assign(weight);
  if (u_.defined()) {
    improve(steps_at_start);
  }
}

Tensor SpectralNorm::materialize(const Site& site) {
  const Operand weight(original_, site.file, site.line);
  if (!u_.defined()) {
    const Tensor norm = sqrt(sum(mul(weight, weight)));
    return div(weight, maximum(norm, eps_));
  }
  if (is_training_) {
    improve(n_power_iterations_);
  }
  // Copies: what backward keeps must not change with the next step.
  const Tensor u = column(u_.value()).clone();
  const Tensor v = column(v_.value()).clone();
  const Tensor sigma = sum(mul(u, matmul(matrix_of(weight, dim_), v)));
  return div(weight, sigma);
}

void SpectralNorm::fields(const std::string& name, Visitor& visit) {
  const std::string key = "parametrizations." + name;
  visit(key + ".original", original_)(key + ".0._u", u_)(key + ".0._v", v_);
}

std::string SpectralNorm::settings() const {
  return fmt::format("spectral_norm(n_power_iterations={}, eps={:g}, dim={})", n_power_iterations_,
                     eps_, dim_);
}

std::vector<std::vector<std::string>> SpectralNorm::spellings(const std::string& name) const {
  std::vector<std::vector<std::string>> result = Reparametrization::spellings(name);
  result.push_back({name + "_orig", name + "_u", name + "_v"});
  result[1].resize(result[0].size());
  return result;
}

void apply_spectral_norm(Module& layer, const SpectralNormOptions& options, const Site& site) {
  check<ValueError>(options.n_power_iterations > 0, site,
                    "[spectral_norm] n_power_iterations: got {}, wanted 1 or more",
                    options.n_power_iterations);
  check<ValueError>(options.eps > 0, site, "[spectral_norm] eps: got {}, wanted more than 0",
                    options.eps);
  const bool is_transposed = layer.type_name().rfind("ConvTranspose", 0) == 0;
  reparametrize(
      layer, options.name,
      [&](const Tensor& weight) {
        const int dim = normalized_dim(options.dim.value_or(is_transposed ? 1 : 0), weight.rank(),
                                       "spectral_norm", site);
        return std::make_unique<SpectralNorm>(weight, dim, options);
      },
      "spectral_norm", site);
}

}  // namespace warptape
