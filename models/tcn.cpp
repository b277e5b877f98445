#include "models/tcn.h"

#include <algorithm>

#include "core/check.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "kernels/transpose/transpose.h"
#include "layers/init.h"
#include "models/image_models.h"

namespace warptape {
namespace {

// An entry per block: those given, or else `count` made ones.
const std::vector<int64_t>& per_block(const char* option, const std::vector<int64_t>& given,
                                      const std::vector<int64_t>& made, const Site& site) {
  check<ValueError>(given.empty() || given.size() == made.size(), site,
                    "[TCN] {}: got {}, wanted one for each of {} blocks", option, given.size(),
                    made.size());
  return given.empty() ? made : given;
}

const TCN::Options& checked(const TCN::Options& options, const Site& site) {
  check<ValueError>(options.output_size >= 1, site, "[TCN] output_size: got {}, wanted 1 or more",
                    options.output_size);
  check<ValueError>(!options.net.channels.empty(), site,
                    "[TCN] channels: got none, wanted one for each block");
  return options;
}

}  // namespace

std::vector<DilatedKernel> dilated_kernels(const TemporalConvNet::Options& options,
                                           const Site& site) {
  const size_t blocks = options.channels.size();
  check<ValueError>(blocks >= 1, site, "[TCN] channels: got none, wanted one for each block");
  const std::vector<int64_t> sizes =
      per_block("kernel_sizes", options.kernel_sizes,
                std::vector<int64_t>(blocks, options.kernel_size), site);
  const std::vector<int64_t> dilations =
      options.dilations.empty()
          ? dilations_of(options.dilation_base, static_cast<int64_t>(blocks))
          : per_block("dilations", options.dilations, std::vector<int64_t>(blocks), site);
  std::vector<DilatedKernel> kernels;
  for (size_t i = 0; i < blocks; ++i) {
    kernels.insert(kernels.end(), 2, {sizes[i], dilations[i]});
  }
  return kernels;
}

TemporalConvNet::TemporalConvNet(const Options& options, const Site& site)
    : kernels_(dilated_kernels(options, site)),
      causal_(options.block.causal),
      skip_activation_(options.skip_activation) {
  check<ValueError>(skip_activation_ != BlockActivation::Gated, site,
                    "[TCN] skip_activation: got gated, wanted one that keeps the number of "
                    "channels");
  const size_t blocks = options.channels.size();
  for (size_t i = 0; i < blocks; ++i) {
    TemporalBlock::Options block = options.block;
    block.in_channels = i == 0 ? options.input_channels : options.channels[i - 1];
    block.out_channels = options.channels[i];
    block.kernel_size = kernels_[2 * i].size;
    block.dilation = kernels_[2 * i].dilation;
    block.activate_second = block.activate_second && !(options.last_is_linear && i + 1 == blocks);
    network.append(TemporalBlock(block, site));
  }
}

std::string TemporalConvNet::settings() const {
  return fmt::format("receptive_field={}", receptive_field()) +
         (causal_ ? "" : fmt::format(", look_ahead={}", look_ahead()));
}

Tensor TemporalConvNet::forward_with(const Operand& x, const Operand& condition) {
  const auto first = dynamic_cast<const TemporalBlock*>(&network[0]);
  const bool has_skips = first != nullptr && first->options().skip_channels > 0;
  if (!has_skips && !condition.defined()) {
    return network(x);
  }
  Tensor y = x;
  Tensor sum;
  for (size_t i = 0; i < network.size(); ++i) {
    auto* block = dynamic_cast<TemporalBlock*>(&network[i]);
    if (block == nullptr) {  // a layer that was appended to the network
      y = network[i](y);
      continue;
    }
    const TemporalBlock::Outputs outputs = block->outputs(y, condition);
    y = outputs.y;
    if (has_skips) {
      sum = sum.defined() ? add(sum, outputs.skip) : outputs.skip;
    }
  }
  return has_skips ? activated(sum, skip_activation_, first->options().negative_slope) : y;
}

int64_t TemporalConvNet::receptive_field() const {
  return warptape::receptive_field(kernels_);
}

int64_t TemporalConvNet::look_ahead() const {
  return causal_ ? 0 : warptape::look_ahead(kernels_);
}

TCN::TCN(const Options& options, const Site& site)
    : tcn(checked(options, site).net, site),
      linear({.in_features = options.net.output_channels(),
              .out_features = options.output_size,
              .dtype = options.net.block.dtype},
             site),
      head_(options.head) {
  init::normal(linear.weight, 0, 0.01);
}

Tensor TCN::forward_with(const Operand& x, const Operand& condition) {
  check_rank("TCN", x, 3, "(N, C, L)");
  check<ShapeError>(x.size(2) >= 1, x.site(), "[TCN] length: got 0 in shape {}, wanted 1 or more",
                    x.shape());
  const Tensor y = tcn(x, condition);
  if (head_ == Head::EveryStep) {
    return linear(transpose(y, 1, 2));
  }
  return linear(reshape(slice(y, 2, -1), {y.size(0), y.size(1)}));
}

StateDict without_duplicates(const StateDict& state) {
  StateDict kept;
  for (const auto& entry : state) {
    const size_t block = entry.first.find("tcn.network.");
    const size_t name = block == std::string::npos
                            ? std::string::npos
                            : entry.first.find('.', block + sizeof("tcn.network.") - 1);
    if (name == std::string::npos || entry.first.compare(name, 5, ".net.") != 0) {
      kept.push_back(entry);
    }
  }
  // Weights that two layers share are in safetensors files once, under the first of their names.
  const std::string decoder = "decoder.weight";
  for (const auto& [key, tensor] : state) {
    if (key.ends_with(decoder) && tensor.rank() == 2) {
      const std::string encoder = key.substr(0, key.size() - decoder.size()) + "encoder.weight";
      if (!has_key(state, encoder)) {
        kept.emplace_back(encoder, tensor);
      }
    }
  }
  return kept;
}

namespace {

constexpr const char* network = "tcn.network.";

// What a block's tensors tell.
struct BlockTold {
  int64_t in_channels;
  int64_t hidden_channels;
  int64_t out_channels;
  int64_t kernel_size;
  bool gated;
  bool gated_second;  // not so in the last block of Darts' nets
  BlockNorm norm;
  int64_t condition_channels;
  int64_t skip_channels;

  // Those that all blocks of a net have in common.
  bool is_like(const TemporalBlock::Options& other) const {
    return (hidden_channels == out_channels ? 0 : hidden_channels) == other.hidden_channels &&
           gated == (other.activation == BlockActivation::Gated) && norm == other.norm &&
           condition_channels == other.condition_channels && skip_channels == other.skip_channels;
  }
};

BlockNorm norm_told(const StateDict& state, const std::string& block) {
  if (has_key(state, block + ".norm1.running_mean")) {
    return BlockNorm::Batch;
  }
  return has_key(state, block + ".norm1.weight") ? BlockNorm::Layer : BlockNorm::None;
}

// Of the size of a 1x1 convolution's weight, or 0 where there is none.
int64_t size_told(const StateDict& state, const std::string& layer, int dim) {
  const Tensor* weight = find_weight(state, layer, 3);
  return weight == nullptr ? 0 : weight->size(dim);
}

BlockTold told_by(const StateDict& state, const std::string& block, const Tensor& filters1,
                  const Tensor& filters2) {
  BlockTold told{.in_channels = filters1.size(1),
                 .hidden_channels = filters2.size(1),
                 .out_channels = filters2.size(0),
                 .kernel_size = filters1.size(2),
                 .gated = false,
                 .gated_second = false,
                 .norm = norm_told(state, block),
                 .condition_channels = size_told(state, block + ".condition", 1),
                 .skip_channels = size_told(state, block + ".skip", 0)};
  told.gated = filters1.size(0) == 2 * told.hidden_channels;
  check<ValueError>(
      told.gated || filters1.size(0) == told.hidden_channels,
      "[TCN] checkpoint: {} has filters {} and {}, wanted as many outputs of the first "
      "as inputs of the second, or twice as many where they are gated",
      block, filters1.shape(), filters2.shape());
  // As many as the residual has: filters for twice as many are gated.
  const int64_t residual =
      std::max(size_told(state, block + ".downsample", 0), size_told(state, block + ".conv3", 0));
  told.gated_second =
      told.gated && told.out_channels != (residual == 0 ? told.in_channels : residual);
  told.out_channels /= told.gated_second ? 2 : 1;
  return told;
}

const Tensor& wanted_weight(const StateDict& state, const std::string& layer, int rank) {
  const Tensor* found = find_weight(state, layer, rank);
  check<ValueError>(found != nullptr,
                    "[TCN] checkpoint: there is no {}.weight (nor weight_v) of rank {} among {} "
                    "tensors",
                    layer, rank, state.size());
  return *found;
}

// One more than the largest number of a block in the keys, but no more than can be built.
int64_t count_blocks(const StateDict& state) {
  constexpr int64_t most = 64;
  int64_t count = 0;
  for (int64_t i = 0; i < most; ++i) {
    const std::string prefix = network + std::to_string(i) + ".";
    const bool is_there = std::any_of(state.begin(), state.end(), [&](const auto& entry) {
      return entry.first.compare(0, prefix.size(), prefix) == 0;
    });
    count = is_there ? i + 1 : count;
  }
  return count;
}

}  // namespace

TCN::Options tcn_options_for(const StateDict& checkpoint, TCN::Head head) {
  const StateDict state = without_wrappers(without_duplicates(checkpoint));
  TCN::Options options;
  options.head = head;
  TemporalConvNet::Options& net = options.net;
  const int64_t blocks = std::max<int64_t>(count_blocks(state), 1);
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string block = network + std::to_string(i);
    const Tensor& filters = wanted_weight(state, block + ".conv1", 3);
    const BlockTold told =
        told_by(state, block, filters, wanted_weight(state, block + ".conv2", 3));
    if (i == 0) {
      net.input_channels = told.in_channels;
      net.block.dtype = filters.dtype() == float64 ? float64 : float32;
      net.block.weight_norm = !has_key(state, block + ".conv1.weight");
      net.block.hidden_channels =
          told.hidden_channels == told.out_channels ? 0 : told.hidden_channels;
      net.block.activation = told.gated ? BlockActivation::Gated : BlockActivation::ReLU;
      net.block.norm = told.norm;
      net.block.condition_channels = told.condition_channels;
      net.block.skip_channels = told.skip_channels;
    }
    check<ValueError>(told.is_like(net.block),
                      "[TCN] checkpoint: {} is built in another way than {}0", block, network);
    if (find_weight(state, block + ".conv3", 3) != nullptr) {
      net.block.residual_name = "conv3";
    }
    net.last_is_linear = told.gated && !told.gated_second;
    net.channels.push_back(told.out_channels);
    net.kernel_sizes.push_back(told.kernel_size);
  }
  const bool is_embedded = find_weight(state, "encoder", 2) != nullptr;
  options.output_size = wanted_weight(state, is_embedded ? "decoder" : "linear", 2).size(0);
  return options;
}

}  // namespace warptape
