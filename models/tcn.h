#pragma once
#include <vector>

#include "layers/linear.h"
#include "layers/sequential.h"
#include "layers/state_dict.h"
#include "layers/temporal_block.h"
#include "models/receptive_field.h"

namespace warptape {

// The stack of temporal blocks: (N, input_channels, L) -> (N, channels of the last block, L).
// With block.skip_channels its output is skip_activation(the sum of all blocks' skips),
// (N, skip_channels, L), as in WaveNet (van den Oord et al. 2016). With block.condition_channels
// every block takes the condition: net(x, c), c (N, condition_channels), or
// (N, condition_channels, L).
class TemporalConvNet : public ConditionedModule {
 public:
  struct Options {
    int64_t input_channels = 1;
    std::vector<int64_t> channels;      // of each block's output
    int64_t kernel_size = 2;            // of all blocks
    std::vector<int64_t> kernel_sizes;  // of each block; empty: kernel_size
    std::vector<int64_t> dilations;     // of each block; empty: 1, base, base^2, ...
    int64_t dilation_base = 2;
    // What all blocks have in common; channels, kernel size and dilation are set per block. As in
    // locuslab/TCN, 1x1 convolutions begin as N(0, 0.01).
    TemporalBlock::Options block{.residual_std = 0.01};
    bool last_is_linear = false;  // whether nothing follows conv2 of the last block, as in Darts
    BlockActivation skip_activation = BlockActivation::ReLU;  // of the sum; not Gated, LeakyReLU
                                                              // with the blocks' slope

    int64_t output_channels() const {
      return block.skip_channels > 0 || channels.empty() ? block.skip_channels : channels.back();
    }
  };

  explicit TemporalConvNet(const Options& options, const Site& site = Site::here());  // ValueError
  void fields(Visitor& visit) override { visit("network", network); }
  // Where there are skips or conditions, the blocks are called one by one, and hooks of `network`
  // are not.
  Tensor forward_with(const Operand& x, const Operand& condition) override;
  std::string type_name() const override { return "TemporalConvNet"; }
  std::string settings() const override;  // "receptive_field=3061"
  BlockActivation skip_activation() const { return skip_activation_; }

  // Elements of the sequence that an output depends on, and how many of them lie after its own.
  int64_t receptive_field() const;
  int64_t look_ahead() const;

  Sequential network;

 private:
  std::vector<DilatedKernel> kernels_;
  bool causal_;
  BlockActivation skip_activation_;
};

// Its convolutions, two for each block. ValueError for lists that do not fit.
std::vector<DilatedKernel> dilated_kernels(const TemporalConvNet::Options& options,
                                           const Site& site = Site::here());

// A temporal convolutional network with a linear head, as locuslab/TCN has it for its tasks, keys
// included (tcn.network.0.conv1.weight_g, tcn.network.0.downsample.weight, linear.weight).
// Takes sequences (N, input_channels, L), and a condition besides where its blocks do. Returns of
// the last step (N, output_size), or of every step (N, L, output_size).
class TCN : public ConditionedModule {
 public:
  enum class Head { LastStep, EveryStep };
  struct Options {
    TemporalConvNet::Options net;
    int64_t output_size = 1;
    Head head = Head::LastStep;
  };

  explicit TCN(const Options& options, const Site& site = Site::here());  // ValueError
  void fields(Visitor& visit) override { visit("tcn", tcn)("linear", linear); }
  Tensor forward_with(const Operand& x, const Operand& condition) override;
  std::string type_name() const override { return "TCN"; }
  int64_t receptive_field() const { return tcn.receptive_field(); }

  TemporalConvNet tcn;
  Linear linear;

 private:
  Head head_;
};

// What a checkpoint of the TCN above tells by its keys and shapes: channels, kernel sizes, output
// size, weight norm, dtype, whether blocks are gated, norms, skips and conditions, and the name of
// the 1x1 convolution ("conv3" or else "downsample"). In no shape are dilations (1, 2, 4, ...),
// activations (relu), and whether the last block has the second one (as if it had). The duplicate
// keys net.N that locuslab's modules save are left out. ValueError names what is missing.
TCN::Options tcn_options_for(const StateDict& state, TCN::Head head = TCN::Head::LastStep);
// The state without those duplicates, for load_state_dict; with an encoder.weight where a
// decoder.weight is there alone, as safetensors' save_model leaves weights that two layers share.
StateDict without_duplicates(const StateDict& state);

}  // namespace warptape
