#include "layers/temporal_block.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/check.h"
#include "kernels/channel_dropout/channel_dropout.h"
#include "kernels/dropout/dropout.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "kernels/transpose/transpose.h"
#include "layers/init.h"
#include "layers/weight_norm.h"

namespace warptape {
namespace {

template <class Value>
struct Named {
  const char* name;
  Value value;
};
constexpr Named<BlockActivation> activations[] = {
    {"none", BlockActivation::None}, {"relu", BlockActivation::ReLU},
    {"tanh", BlockActivation::Tanh}, {"leaky_relu", BlockActivation::LeakyReLU},
    {"gelu", BlockActivation::GELU}, {"gated", BlockActivation::Gated}};
constexpr Named<BlockNorm> norms[] = {
    {"none", BlockNorm::None}, {"batch", BlockNorm::Batch}, {"layer", BlockNorm::Layer}};

template <class Value, size_t count>
std::string name_of(const Named<Value> (&all)[count], Value value) {
  for (const Named<Value>& named : all) {
    if (named.value == value) {
      return named.name;
    }
  }
  return "?";
}

template <class Value, size_t count>
Value find_named(const char* what, const Named<Value> (&all)[count], const std::string& name,
                 const Site& site) {
  std::string list;
  for (const Named<Value>& named : all) {
    if (name == named.name) {
      return named.value;
    }
    list += (list.empty() ? "" : ", ") + std::string(named.name);
  }
  throw ValueError(
      fmt::format("[{}] got \"{}\", wanted one of {}{}", what, escaped(name), list, at(site)));
}

// Keys of a block's own fields, which its 1x1 convolution cannot have.
constexpr const char* taken_names[] = {"conv1", "conv2", "norm1", "norm2", "condition", "skip"};

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
  for (const auto& [name, channels] : {std::pair("condition_channels", options.condition_channels),
                                       std::pair("skip_channels", options.skip_channels)}) {
    check<ValueError>(channels >= 0 && channels <= most_channels, site,
                      "[TemporalBlock] {}: got {}, wanted 0 (none) to {}", name, channels,
                      most_channels);
  }
  const std::string& name = options.residual_name;
  check<ValueError>(
      !name.empty() && name.find('.') == std::string::npos &&
          std::find(std::begin(taken_names), std::end(taken_names), name) == std::end(taken_names),
      site,
      "[TemporalBlock] residual_name: got \"{}\", wanted a name without dots that "
      "is none of {}",
      escaped(name), fmt::join(taken_names, ", "));
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

Conv1d::Options one_by_one(const TemporalBlock::Options& options, int64_t in, int64_t out,
                           bool bias = true) {
  return {.in_channels = in,
          .out_channels = out,
          .kernel_size = 1,
          .bias = bias,
          .dtype = options.dtype};
}

Tensor gated(const Operand& x) {
  check<ValueError>(x.size(1) % 2 == 0, x.site(),
                    "[gated] channels: got {} in shape {}, wanted an even number", x.size(1),
                    x.shape());
  const int64_t channels = x.size(1) / 2;
  return mul(tanh(slice(x, 1, 0, channels)), sigmoid(slice(x, 1, channels)));
}

// Over the channels of each step of (N, C, L).
Tensor over_channels(LayerNorm& norm, const Tensor& x) {
  return transpose(norm(transpose(x, 1, 2)), 1, 2);
}

}  // namespace

std::string to_string(BlockActivation activation) {
  return name_of(activations, activation);
}

BlockActivation block_activation(const std::string& name, const Site& site) {
  return find_named("activation", activations, name, site);
}

std::string to_string(BlockNorm norm) {
  return name_of(norms, norm);
}

BlockNorm block_norm(const std::string& name, const Site& site) {
  return find_named("norm", norms, name, site);
}

Tensor activated(const Operand& x, BlockActivation by, double negative_slope) {
  switch (by) {
    case BlockActivation::ReLU:
      return relu(x);
    case BlockActivation::Tanh:
      return tanh(x);
    case BlockActivation::LeakyReLU:
      return leaky_relu(x, {.negative_slope = negative_slope});
    case BlockActivation::GELU:
      return gelu(x);
    case BlockActivation::Gated:
      return gated(x);
    case BlockActivation::None:
      break;
  }
  return x;
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
    residual.emplace(one_by_one(options_, options_.in_channels, options_.out_channels), site);
    if (options_.residual_std > 0) {
      init::normal(residual->weight, 0, options_.residual_std);
    }
  }
  if (options_.weight_norm) {
    warptape::weight_norm(conv1);
    warptape::weight_norm(conv2);
  }
  make_norms(site);
  if (options_.condition_channels > 0) {
    condition.emplace(
        one_by_one(options_, options_.condition_channels, conv1.options().out_channels, false),
        site);
  }
  if (options_.skip_channels > 0) {
    skip.emplace(one_by_one(options_, options_.out_channels, options_.skip_channels), site);
  }
}

void TemporalBlock::make_norms(const Site& site) {
  const int64_t first = conv1.options().out_channels;
  const int64_t second = conv2.options().out_channels;
  const DType dtype = options_.dtype;
  if (options_.norm == BlockNorm::Batch) {
    batch_norm1.emplace(BatchNorm::Options{.num_features = first, .dtype = dtype}, site);
    batch_norm2.emplace(BatchNorm::Options{.num_features = second, .dtype = dtype}, site);
  } else if (options_.norm == BlockNorm::Layer) {
    layer_norm1.emplace(LayerNorm::Options{.normalized_shape = {first}, .dtype = dtype}, site);
    layer_norm2.emplace(LayerNorm::Options{.normalized_shape = {second}, .dtype = dtype}, site);
  }
}

void TemporalBlock::fields(Visitor& visit) {
  visit("conv1", conv1)("norm1", batch_norm1)("norm1", layer_norm1);
  visit("conv2", conv2)("norm2", batch_norm2)("norm2", layer_norm2);
  visit(options_.residual_name, residual)("condition", condition)("skip", skip);
}

std::string TemporalBlock::settings() const {
  return to_string(options_.activation) + (options_.activate_second ? "" : " once") +
         fmt::format(", dropout={}{}, output_activation={}", options_.dropout,
                     options_.channel_dropout ? " of channels" : "",
                     to_string(options_.output_activation));
}

Tensor TemporalBlock::drop(const Operand& x) const {
  return options_.channel_dropout ? channel_dropout(x, options_.dropout, is_training())
                                  : dropout(x, options_.dropout, is_training());
}

void TemporalBlock::check_condition(const Operand& x, const Operand& given) const {
  const int64_t channels = options_.condition_channels;
  check<ValueError>(channels > 0 || !given.defined(), x.site(),
                    "[TemporalBlock] condition: got one, wanted none, as condition_channels is 0");
  if (channels == 0) {
    return;
  }
  check<ValueError>(given.defined(), x.site(),
                    "[TemporalBlock] condition: got none, wanted (N, {}) or (N, {}, L)", channels,
                    channels);
  check_rank("TemporalBlock", x, 3, "(N, C, L)");
  const bool fits = given.shape() == Shape{x.size(0), channels} ||
                    given.shape() == Shape{x.size(0), channels, x.size(2)};
  check<ShapeError>(fits, x.site(),
                    "[TemporalBlock] condition: got {}, wanted ({}, {}) or ({}, {}, {})",
                    given.shape(), x.size(0), channels, x.size(0), channels, x.size(2));
}

TemporalBlock::Outputs TemporalBlock::compute(const Operand& input, const Operand& given) {
  check_condition(input, given);
  // In bfloat16 the residual is as rounded as what the convolutions make of it.
  const Operand x = conv1.weight.input(input);
  const auto normalize = [](auto& batch, auto& layer, Tensor& y) {
    if (batch) {
      y = (*batch)(std::move(y));
    } else if (layer) {
      y = over_channels(*layer, y);
    }
  };
  // Handed on, not held: each op may then be done in the pass of the one before.
  Tensor y = conv1(x);
  normalize(batch_norm1, layer_norm1, y);
  if (condition) {
    const bool is_vector = given.rank() == 2;
    y = add(std::move(y), (*condition)(is_vector ? reshape(given, {given.size(0), given.size(1), 1})
                                                 : given.tensor()));
  }
  y = drop(activated(std::move(y), options_.activation, options_.negative_slope));
  // Before the second convolution, in whose pass it can be added then, and behind the first: the
  // last part of x's gradient is made by the first.
  const Operand beside = residual ? Operand((*residual)(x)) : x;
  y = conv2(std::move(y));
  normalize(batch_norm2, layer_norm2, y);
  y = drop(options_.activate_second
               ? activated(std::move(y), options_.activation, options_.negative_slope)
               : std::move(y));
  Outputs outputs;
  if (skip) {
    outputs.skip = (*skip)(y);
  }
  y = add(std::move(y), beside);
  outputs.y = activated(std::move(y), options_.output_activation, options_.negative_slope);
  return outputs;
}

Tensor TemporalBlock::forward_with(const Operand& x, const Operand& given) {
  return compute(x, given).y;
}

TemporalBlock::Outputs TemporalBlock::outputs(const Operand& x, const Operand& given) {
  Outputs result;
  result.y = call(x, given, [&](const Operand& input, const Operand& also) {
    Outputs made = compute(input, also);
    result.skip = made.skip;
    return made.y;
  });
  return result;
}

}  // namespace warptape
