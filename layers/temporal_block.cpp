#include "layers/temporal_block.h"

#include <vector>

#include "core/check.h"
#include "kernels/channel_dropout/channel_dropout.h"
#include "kernels/dropout/dropout.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/slice/slice.h"
#include "layers/init.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

struct Named {
  const char* name;
  BlockActivation activation;
};
constexpr Named names[] = {
    {"none", BlockActivation::None}, {"relu", BlockActivation::ReLU},
    {"tanh", BlockActivation::Tanh}, {"leaky_relu", BlockActivation::LeakyReLU},
    {"gelu", BlockActivation::GELU}, {"gated", BlockActivation::Gated}};

constexpr int64_t most_channels = int64_t{1} << 31;

TemporalBlock::Options checked(TemporalBlock::Options options, const Site& site) {
  const auto positive = [&](const char* name, int64_t value) {
    check<ValueError>(value >= 1 && value <= most_channels, site,
                      "[TemporalBlock] {}: got {}, wanted 1 to {}", name, value, most_channels);
  };
  positive("in_channels", options.in_channels);
  positive("out_channels", options.out_channels);
  options.hidden_channels =
      options.hidden_channels == 0 ? options.out_channels : options.hidden_channels;
  positive("hidden_channels", options.hidden_channels);
  check<ValueError>(options.dropout >= 0 && options.dropout <= 1, site,
                    "[TemporalBlock] dropout: got {}, wanted 0 to 1", options.dropout);
  check<ValueError>(options.residual_std >= 0, site,
                    "[TemporalBlock] residual_std: got {}, wanted 0 or more", options.residual_std);
  const std::string& name = options.residual_name;
  check<ValueError>(
      !name.empty() && name.find('.') == std::string::npos && name != "conv1" && name != "conv2",
      site,
      "[TemporalBlock] residual_name: got \"{}\", wanted a name without dots that is "
      "neither conv1 nor conv2",
      escaped(name));
  check<ValueError>(options.output_activation != BlockActivation::Gated, site,
                    "[TemporalBlock] output_activation: got gated, wanted one that keeps the "
                    "number of channels");
  return options;
}

// How many channels a convolution gives to have `channels` behind its activation.
int64_t given(int64_t channels, bool gated) {
  return gated ? 2 * channels : channels;
}

Conv1d::Options convolution(const TemporalBlock::Options& options, int64_t in, int64_t out) {
  return {.in_channels = in,
          .out_channels = out,
          .kernel_size = options.kernel_size,
          .padding = options.causal ? Padding1d::causal() : Padding1d::same(),
          .dilation = options.dilation,
          .dtype = options.dtype};
}

Tensor gated(const Tensor& x) {
  const int64_t channels = x.size(1) / 2;
  return mul(tanh(slice(x, 1, 0, channels)), sigmoid(slice(x, 1, channels)));
}

}  // namespace

std::string to_string(BlockActivation activation) {
  for (const Named& named : names) {
    if (named.activation == activation) {
      return named.name;
    }
  }
  return "?";
}

BlockActivation block_activation(const std::string& name, const Site& site) {
  std::string all;
  for (const Named& named : names) {
    if (name == named.name) {
      return named.activation;
    }
    all += (all.empty() ? "" : ", ") + std::string(named.name);
  }
  throw ValueError(
      fmt::format("[activation] got \"{}\", wanted one of {}{}", escaped(name), all, at(site)));
}

TemporalBlock::Options TemporalBlock::bai(int64_t in_channels, int64_t out_channels,
                                          int64_t kernel_size, int64_t dilation) {
  return {.in_channels = in_channels,
          .out_channels = out_channels,
          .kernel_size = kernel_size,
          .dilation = dilation,
          .residual_std = 0.01};
}

TemporalBlock::Options TemporalBlock::darts(int64_t in_channels, int64_t hidden_channels,
                                            int64_t out_channels, int64_t kernel_size,
                                            int64_t dilation, bool is_last) {
  return {.in_channels = in_channels,
          .out_channels = out_channels,
          .hidden_channels = hidden_channels,
          .kernel_size = kernel_size,
          .dilation = dilation,
          .weight_norm = false,
          .activate_second = !is_last,
          .output_activation = BlockActivation::None,
          .residual_name = "conv3"};
}

TemporalBlock::TemporalBlock(Options options, const Site& site)
    : options_(checked(options, site)),
      conv1(convolution(
                options_, options_.in_channels,
                given(options_.hidden_channels, options_.activation == BlockActivation::Gated)),
            site),
      conv2(
          convolution(options_, options_.hidden_channels,
                      given(options_.out_channels, options_.activation == BlockActivation::Gated &&
                                                       options_.activate_second)),
          site) {
  if (options_.in_channels != options_.out_channels) {
    residual.emplace(Conv1d::Options{.in_channels = options_.in_channels,
                                     .out_channels = options_.out_channels,
                                     .kernel_size = 1,
                                     .dtype = options_.dtype},
                     site);
    if (options_.residual_std > 0) {
      init::normal(residual->weight, 0, options_.residual_std);
    }
  }
  if (options_.weight_norm) {
    warptape::weight_norm(conv1);
    warptape::weight_norm(conv2);
  }
}

void TemporalBlock::fields(Visitor& visit) {
  visit("conv1", conv1)("conv2", conv2)(options_.residual_name, residual);
}

std::string TemporalBlock::settings() const {
  return to_string(options_.activation) + (options_.activate_second ? "" : " once") +
         fmt::format(", dropout={}{}, output_activation={}", options_.dropout,
                     options_.channel_dropout ? " of channels" : "",
                     to_string(options_.output_activation));
}

Tensor TemporalBlock::activate(const Tensor& x, BlockActivation by) const {
  switch (by) {
    case BlockActivation::ReLU:
      return relu(x);
    case BlockActivation::Tanh:
      return tanh(x);
    case BlockActivation::LeakyReLU:
      return leaky_relu(x, {.negative_slope = options_.negative_slope});
    case BlockActivation::GELU:
      return gelu(x);
    case BlockActivation::Gated:
      return gated(x);
    case BlockActivation::None:
      break;
  }
  return x;
}

Tensor TemporalBlock::drop(const Tensor& x) const {
  return options_.channel_dropout ? channel_dropout(x, options_.dropout, is_training())
                                  : dropout(x, options_.dropout, is_training());
}

Tensor TemporalBlock::forward(const Operand& input) {
  // In bfloat16 the residual is as rounded as what the convolutions make of it.
  const Operand x = conv1.weight.input(input);
  Tensor y = drop(activate(conv1(x), options_.activation));
  y = conv2(y);
  y = drop(options_.activate_second ? activate(y, options_.activation) : y);
  y = add(y, residual ? Operand((*residual)(x)) : x);
  return activate(y, options_.output_activation);
}

}  // namespace warptape
