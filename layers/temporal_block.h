#pragma once
// The residual block of temporal convolutional networks, in its two published forms.

#include <optional>
#include <string>

#include "layers/batch_norm.h"
#include "layers/conditioned.h"
#include "layers/conv1d.h"
#include "layers/layer_norm.h"

namespace warptape {

// What follows a convolution of a block. Gated: tanh(a) sigmoid(b) of twice as many channels, a the
// first half of them (van den Oord et al. 2016, arXiv 1609.03499).
enum class BlockActivation { None, ReLU, Tanh, LeakyReLU, GELU, Gated };

std::string to_string(BlockActivation activation);  // "relu", as --activation takes it
// ValueError lists the names.
BlockActivation block_activation(const std::string& name, const Site& site = Site::here());

// x as what follows a convolution makes of it. ValueError for a Gated of an odd number of channels.
Tensor activated(const Operand& x, BlockActivation by, double negative_slope = 0.01);

// What is normalised behind each convolution of a block, in front of its activation.
//   Batch: each channel, as BatchNorm1d does it. It takes statistics of whole sequences in
//          training, where outputs therefore see later steps; in eval() they do not.
//   Layer: the channels of each step, as LayerNorm does it, so that causal blocks stay causal.
enum class BlockNorm { None, Batch, Layer };

std::string to_string(BlockNorm norm);  // "batch", as --norm takes it
BlockNorm block_norm(const std::string& name, const Site& site = Site::here());  // ValueError

// x (N, in_channels, L) -> (N, out_channels, L):
//   y = dropout(activation(norm1(conv1(x)) + condition(c))), y =
//   dropout(activation(norm2(conv2(y)))) output_activation(y + residual), the residual x, or a 1x1
//   convolution of it where channels differ
// The 1x1 convolution is never weight-normalised. Outputs see nothing after them (causal), or as
// much after as before (centred). With condition_channels a call is block(x, c), where c is
// (N, condition_channels) or (N, condition_channels, L); condition is a 1x1 convolution without a
// bias, whose sum reaches both halves of a gated activation. With skip_channels outputs() gives
// skip(y) besides, a 1x1 convolution of what is added to the residual.
class TemporalBlock : public ConditionedModule {
 public:
  struct Options {
    int64_t in_channels = 0;
    int64_t out_channels = 0;
    int64_t hidden_channels = 0;  // between the convolutions; 0: out_channels
    int64_t kernel_size = 2;
    int64_t dilation = 1;
    double dropout = 0.2;
    bool channel_dropout = false;  // of whole channels, as Bai et al. write; else of elements
    bool weight_norm = true;       // of conv1 and conv2
    bool causal = true;
    BlockActivation activation = BlockActivation::ReLU;
    bool activate_second = true;                                // whether it follows conv2, too
    BlockActivation output_activation = BlockActivation::ReLU;  // not Gated
    double negative_slope = 0.01;                               // of LeakyReLU
    std::string residual_name = "downsample";                   // of the 1x1 convolution, in keys
    double residual_std = 0;  // its weight begins as N(0, residual_std^2); 0: as Conv1d's
    BlockNorm norm = BlockNorm::None;
    int64_t condition_channels = 0;  // 0: a block takes no condition
    int64_t skip_channels = 0;       // 0: a block has no output besides
    DType dtype = float32;
  };

  // Bai, Kolter & Koltun 2018 (arXiv 1803.01271), as locuslab/TCN has it: elements are dropped,
  // ReLU follows the sum, the 1x1 convolution is called "downsample" and begins as N(0, 0.01).
  static Options bai(int64_t in_channels, int64_t out_channels, int64_t kernel_size,
                     int64_t dilation);
  // As in Darts' TCNModel: nothing follows the sum, nor conv2 in the last block of a model; the 1x1
  // convolution is called "conv3". Weight norm is off unless asked for.
  static Options darts(int64_t in_channels, int64_t hidden_channels, int64_t out_channels,
                       int64_t kernel_size, int64_t dilation, bool is_last);

  explicit TemporalBlock(Options options, const Site& site = Site::here());  // ValueError
  void fields(Visitor& visit) override;
  // ValueError or ShapeError unless the condition is there, and as wanted, just where options ask
  // for one.
  Tensor forward_with(const Operand& x, const Operand& condition) override;
  // A call of the block that gives both of its outputs; no skip where it has none.
  struct Outputs {
    Tensor y;
    Tensor skip;
  };
  Outputs outputs(const Operand& x, const Operand& condition);
  std::string type_name() const override { return "TemporalBlock"; }
  std::string settings() const override;
  const Options& options() const { return options_; }

 private:
  Options options_;

 public:
  Conv1d conv1;
  Conv1d conv2;
  std::optional<Conv1d> residual;
  std::optional<BatchNorm1d> batch_norm1;  // "norm1" and "norm2" in keys, as are the next two
  std::optional<BatchNorm1d> batch_norm2;
  std::optional<LayerNorm> layer_norm1;
  std::optional<LayerNorm> layer_norm2;
  std::optional<Conv1d> condition;
  std::optional<Conv1d> skip;

 private:
  void make_norms(const Site& site);
  void check_condition(const Operand& x, const Operand& given) const;
  Outputs compute(const Operand& x, const Operand& given);
  Tensor drop(const Operand& x) const;
};

}  // namespace warptape
