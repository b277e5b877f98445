#include "layers/dora.h"

#include <cmath>

#include "core/check.h"
#include "kernels/ops.h"
#include "layers/init.h"

namespace warptape {

Dora::Dora(const Tensor& weight, const DoraOptions& options)
    : original_(weight.detach().clone()),
      magnitude_(norm_except_dim(weight)),
      a_(Tensor::empty({options.rank, weight.numel() / weight.size(0)}, weight.dtype())),
      b_(Tensor::zeros({weight.size(0), options.rank}, weight.dtype(), weight.device())),
      options_(options) {
  init::kaiming_uniform(a_, {.a = std::sqrt(5.0)});
  if (weight.device() != cpu) {
    a_ = Parameter(a_.value().detach().to(weight.device()));
  }
  original_.set_requires_grad(false);
}

Tensor Dora::materialize(const Site& site) {
  const auto at_site = [&](const auto& tensor) { return Operand(tensor, site.file, site.line); };
  const Shape& shape = original_.value().shape();
  const Tensor change = mul(matmul(at_site(b_), at_site(a_)), options_.alpha / options_.rank);
  const Tensor direction =
      add(at_site(original_), reshape(change, std::vector<int64_t>(shape.begin(), shape.end())));
  if (!options_.detach_norm) {
    return weight_norm(direction, at_site(magnitude_));
  }
  // A row of zeros gives zeros.
  const Tensor norm = maximum(norm_except_dim(direction.detach()).detach(), 1e-30);
  return mul(direction, div(at_site(magnitude_), norm));
}

void Dora::split(const Tensor& weight) {
  original_.assign(weight);
  magnitude_.assign(norm_except_dim(original_.value()));
  b_.assign(Tensor::zeros(b_.value().shape(), b_.value().dtype()));
}

void Dora::fields(const std::string& name, Visitor& visit) {
  const std::string key = "parametrizations." + name;
  visit(key + ".original", original_)(key + ".0.magnitude", magnitude_)(key + ".0.lora_A", a_)(
      key + ".0.lora_B", b_);
}

std::string Dora::settings() const {
  return fmt::format("dora(rank={}, alpha={:g}{})", options_.rank, options_.alpha,
                     options_.detach_norm ? "" : ", detach_norm=False");
}

void Dora::set_requires_grad(bool on) {
  magnitude_.set_requires_grad(on);
  a_.set_requires_grad(on);
  b_.set_requires_grad(on);
}

void apply_dora(Module& layer, const DoraOptions& options, const Site& site) {
  check<ValueError>(options.rank >= 1, site, "[dora] rank: got {}, wanted 1 or more", options.rank);
  reparametrize(
      layer, options.name,
      [&](const Tensor& weight) {
        check<ShapeError>(weight.rank() >= 2 && weight.numel() > 0, site,
                          "[dora] weight: got shape {}, wanted (O, ...) of rank 2 or more",
                          weight.shape());
        return std::make_unique<Dora>(weight, options);
      },
      "dora", site);
}

}  // namespace warptape
