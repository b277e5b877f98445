#include "tools/weight_norm_work.h"

#include <span>
#include <utility>

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/random.h"
#include "kernels/weight_norm/weight_norm_kernels.h"

namespace warptape::tools {
namespace {

// The generator of HiFi-GAN V1 (Kong et al. 2020, arXiv 2010.05646; config_v1.json of
// github.com/jik876/hifi-gan): four transposed convolutions, which halve the channels, three
// residual blocks of six convolutions behind each, and a convolution at either end.
std::vector<Shape> hifi_gan_v1_shapes() {
  constexpr int64_t mel_bands = 80;
  int64_t channels = 512;
  std::vector<Shape> shapes{{channels, mel_bands, 7}};
  for (const int64_t kernel_size : {16, 16, 4, 4}) {
    shapes.push_back({channels, channels / 2, kernel_size});
    channels /= 2;
    for (const int64_t block_kernel_size : {3, 7, 11}) {
      constexpr int convolutions = 6;  // dilations 1, 3, 5, each with one of dilation 1 behind it
      shapes.insert(shapes.end(), convolutions, Shape{channels, channels, block_kernel_size});
    }
  }
  shapes.push_back({1, channels, 7});
  return shapes;
}

WeightNormCase case_of(const Shape& shape, int dim = 0) {
  std::string name;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    name += (axis == 0 ? "" : "x") + std::to_string(shape[axis]);
  }
  return {dim == 0 ? name : name + " dim " + std::to_string(dim), {shape}, dim};
}

}  // namespace

int64_t WeightNormCase::numel() const {
  int64_t sum = 0;
  for (const Shape& shape : shapes) {
    sum += shape.numel();
  }
  return sum;
}

std::vector<WeightNormCase> weight_norm_bench_cases() {
  return {case_of({64, 27}),
          case_of({128, 576}),
          case_of({512, 4608}),
          case_of({16, 65536}),
          case_of({1000000, 64}),
          case_of({768, 48, 128}, 2),  // the positional convolution of wav2vec 2.0
          case_of({512, 512, 7}, 1),
          {"tcn 16 of 25x25x7", std::vector<Shape>(16, Shape{25, 25, 7})},
          {"hifi_gan_v1 78", hifi_gan_v1_shapes()}};
}

WeightNormWork::WeightNormWork(const WeightNormCase& of, Device device) {
  manual_seed(0);
  for (const Shape& shape : of.shapes) {
    const Shape norms = NormDim(of.dim).norm_shape(shape, "bench weight_norm", Site::here());
    v_.emplace_back(randn(shape, float32, device));
    g_.emplace_back(rand(norms, float32, device));
    dw_.push_back(randn(shape, float32, device));
    caches_.push_back(std::make_unique<WeightNormCache>());
    uses_.push_back({v_.back(), g_.back(), caches_.back().get(), {.dim = of.dim}});
    elements_ += shape.numel();
    norms_ += norms.numel();
  }
}

void WeightNormWork::prepare_forward() {
  tape_.reset();
  for (const auto& cache : caches_) {
    cache->forget();
  }
}

void WeightNormWork::forward() {
  tape_ = std::make_unique<Tape>();
  if (uses_.size() == 1) {
    const WeightNormUse& use = uses_[0];
    weight_norm(use.v, use.g, *use.cache, use.options);
  } else {
    weight_norm_together(uses_);
  }
}

void WeightNormWork::prepare_backward() {
  std::vector<Operand> weights;
  std::vector<const Operand*> inputs;
  weights.reserve(uses_.size());
  handed_on_.clear();
  for (size_t i = 0; i < uses_.size(); ++i) {
    weights.emplace_back(caches_[i]->w);
    inputs.push_back(&weights.back());
    handed_on_.push_back(dw_[i].clone());
    v_[i].zero_grad();
    g_[i].zero_grad();
  }
  end_ = Tensor::zeros({}, float32, dw_[0].device());
  Tensor* const outputs[] = {&end_};
  tape_->record("hand_on", inputs, outputs, [this](Backward& context) {
    for (size_t i = 0; i < handed_on_.size(); ++i) {
      context.give(static_cast<int>(i), std::move(handed_on_[i]));
    }
  });
}

void WeightNormWork::backward() {
  tape_->backward(end_);
}

void WeightNormWork::run_forward_kernels() {
  std::vector<WeightNormRows> rows;
  for (size_t i = 0; i < uses_.size(); ++i) {
    rows.push_back({v_[i].value(), g_[i].value(), caches_[i]->w.detach(), caches_[i]->inv_norm,
                    slices_of(v_[i].value().shape(), MemoryFormat::RowMajor, uses_[i].options.dim,
                              "bench weight_norm", Site::here())});
  }
  on_device(
      "bench weight_norm", dw_[0].device(), [&] { weight_norm_forward_cpu(rows); },
      [&] { weight_norm_forward_cuda(rows); });
}

void WeightNormWork::run_backward_kernels() {
  std::vector<WeightNormGradient> gradients;
  for (size_t i = 0; i < uses_.size(); ++i) {
    const NormSlices slices = slices_of(v_[i].value().shape(), MemoryFormat::RowMajor,
                                        uses_[i].options.dim, "bench weight_norm", Site::here());
    gradients.push_back({dw_[i],
                         v_[i].value(),
                         g_[i].value(),
                         caches_[i]->inv_norm,
                         {v_[i].grad(), WriteMode::Overwrite},
                         {g_[i].grad(), WriteMode::Overwrite},
                         slices});
  }
  on_device(
      "bench weight_norm", dw_[0].device(), [&] { weight_norm_backward_cpu(gradients); },
      [&] { weight_norm_backward_cuda(gradients); });
}

int64_t WeightNormWork::forward_bytes() const {
  constexpr int64_t of_norm = sizeof(float) + sizeof(double);
  return 2 * elements_ * static_cast<int64_t>(sizeof(float)) + norms_ * of_norm;
}

int64_t WeightNormWork::backward_bytes() const {
  constexpr int64_t of_norm = 2 * sizeof(float) + sizeof(double);
  return 3 * elements_ * static_cast<int64_t>(sizeof(float)) + norms_ * of_norm;
}

}  // namespace warptape::tools
