// The TCN by name, with its options as the command line and config.json have them.

#include <algorithm>
#include <optional>

#include "core/check.h"
#include "models/embedded_tcn.h"
#include "models/image_models.h"
#include "models/sequence_models.h"
#include "models/tcn.h"

namespace warptape {
namespace {

struct TcnChoice {
  std::vector<int64_t> channels = std::vector<int64_t>(8, 25);
  std::vector<int64_t> kernel_size = {7};
  std::vector<int64_t> dilations = {};
  int64_t dilation_base = 2;
  double dropout = 0.05;
  bool channel_dropout = false;
  std::string block = "bai";
  std::string activation = "relu";
  bool centred = false;
  std::string norm = "none";
  int64_t skip_channels = 0;
};

constexpr Rule<std::string> block_name{
    "bai or darts", [](const std::string& v) { return v == "bai" || v == "darts"; }};
constexpr Rule<std::string> activation_name{
    "none, relu, tanh, leaky_relu, gelu or gated", [](const std::string& v) {
      return v == "none" || v == "relu" || v == "tanh" || v == "leaky_relu" || v == "gelu" ||
             v == "gated";
    }};

constexpr Rule<std::string> norm_name{"none, batch or layer", [](const std::string& v) {
                                        return v == "none" || v == "batch" || v == "layer";
                                      }};

OptionList<TcnChoice> list_of_options() {
  return OptionList<TcnChoice>()("channels", &TcnChoice::channels, rules::counts,
                                 "channels of each block's output, with commas between")(
      "kernel_size", &TcnChoice::kernel_size, rules::counts,
      "of all blocks, or one number for each")("dilations", &TcnChoice::dilations,
                                               rules::counts_or_none,
                                               "of each block, in place of powers of the base")(
      "dilation_base", &TcnChoice::dilation_base, rules::one_or_more,
      "block i has the dilation base^i")("dropout", &TcnChoice::dropout, rules::below_one,
                                         "part that is dropped behind a convolution")(
      "channel_dropout", &TcnChoice::channel_dropout, rules::flag,
      "drops whole channels, as the paper writes, in place of elements")(
      "block", &TcnChoice::block, block_name,
      "bai: ReLU follows the sum with the residual; darts: nothing does")(
      "activation", &TcnChoice::activation, activation_name,
      "behind a convolution: none, relu, tanh, leaky_relu, gelu or gated")(
      "centred", &TcnChoice::centred, rules::flag,
      "outputs see as much after them as before, not only what came before")(
      "norm", &TcnChoice::norm, norm_name,
      "behind each convolution of a block: none, batch, or layer (over the channels of a step)")(
      "skip_channels", &TcnChoice::skip_channels, rules::not_negative,
      "channels of the blocks' skips, whose sum is the output in place of the last block's; 0: "
      "none");
}

TCN::Options tcn_options(const TcnChoice& choice) {
  TCN::Options options;
  TemporalConvNet::Options& net = options.net;
  net.channels = choice.channels;
  if (choice.kernel_size.size() == 1) {
    net.kernel_size = choice.kernel_size[0];
  } else {
    net.kernel_sizes = choice.kernel_size;
  }
  net.dilations = choice.dilations;
  net.dilation_base = choice.dilation_base;
  net.block.dropout = choice.dropout;
  net.block.channel_dropout = choice.channel_dropout;
  net.block.activation = block_activation(choice.activation);
  net.block.causal = !choice.centred;
  net.block.norm = block_norm(choice.norm);
  net.block.skip_channels = choice.skip_channels;
  if (choice.block == "darts") {
    net.block.output_activation = BlockActivation::None;
    net.block.residual_name = "conv3";
    net.block.residual_std = 0;
    net.last_is_linear = true;
  }
  return options;
}

std::optional<int64_t> depth_for(const TcnChoice& choice, int64_t length) {
  const bool is_regular = choice.kernel_size.size() == 1 && choice.dilations.empty();
  if (!is_regular || (choice.kernel_size[0] == 1 && length > 1)) {
    return std::nullopt;
  }
  // Of centred convolutions half of what an output sees comes before it.
  const int64_t field = choice.centred ? 2 * length - 1 : length;
  return least_depth(field, choice.kernel_size[0], choice.dilation_base);
}

// All that hides in the shapes of a checkpoint; its dilations, activations and dropout do not.
void take_from(const StateDict& checkpoint, SequenceModelOptions& general, OptionValues& own) {
  const TCN::Options told = tcn_options_for(checkpoint);
  const TemporalConvNet::Options& net = told.net;
  check<ValueError>(net.block.hidden_channels == 0,
                    "[TCN] checkpoint: got blocks with {} channels between their convolutions, "
                    "wanted as many as they give out",
                    net.block.hidden_channels);
  check<ValueError>(
      net.block.condition_channels == 0,
      "[TCN] checkpoint: got blocks that take a condition of {} channels, wanted ones "
      "without, as the commands give them none",
      net.block.condition_channels);
  general.input_channels = net.input_channels;
  general.output_size = told.output_size;
  general.weight_norm = net.block.weight_norm;
  general.dtype = net.block.dtype;
  const StateDict state = without_wrappers(without_duplicates(checkpoint));
  if (const Tensor* table = find_weight(state, "encoder", 2)) {
    general.indices = IndexInput{.vocabulary = table->size(0), .embedding_size = table->size(1)};
    general.every_step = true;
  }
  own["channels"] = net.channels;
  const std::vector<int64_t>& sizes = net.kernel_sizes;
  const bool is_one = std::equal(sizes.begin() + 1, sizes.end(), sizes.begin());
  own["kernel_size"] = is_one ? std::vector<int64_t>{sizes[0]} : sizes;
  const bool is_gated = net.block.activation == BlockActivation::Gated;
  if (is_gated || own["activation"] == OptionValue(to_string(BlockActivation::Gated))) {
    own["activation"] = to_string(net.block.activation);
  }
  own["norm"] = to_string(net.block.norm);
  own["skip_channels"] = net.block.skip_channels;
  if (net.block.residual_name == "conv3") {
    own["block"] = std::string("darts");
  }
}

}  // namespace

SequenceModel tcn_model() {
  const OptionList<TcnChoice> list = list_of_options();
  return {
      .name = "tcn",
      .description = "a stack of dilated causal convolutions (Bai et al. 2018)",
      .options = list.options(),
      // Without a place in errors: options come from a command line or a file.
      .make = [list](const SequenceModelOptions& general,
                     const OptionValues& values) -> std::unique_ptr<Module> {
        TCN::Options options = tcn_options(list.read(values));
        options.net.input_channels = general.input_channels;
        options.net.block.weight_norm = general.weight_norm;
        options.net.block.dtype = general.dtype;
        if (general.indices) {
          return std::make_unique<EmbeddedTCN>(
              EmbeddedTCN::Options{.vocabulary = general.indices->vocabulary,
                                   .net = options.net,
                                   .dropout = general.indices->dropout,
                                   .tied = general.indices->tied},
              Site{});
        }
        options.output_size = general.output_size;
        options.head = general.every_step ? TCN::Head::EveryStep : TCN::Head::LastStep;
        return std::make_unique<TCN>(options, Site{});
      },
      .seen = [list](const OptionValues& values) -> SeenOfSequence {
        const std::vector<DilatedKernel> kernels =
            dilated_kernels(tcn_options(list.read(values)).net, Site{});
        const bool is_causal = !list.read(values).centred;
        return {receptive_field(kernels), is_causal ? 0 : look_ahead(kernels)};
      },
      .least_depth = [list](const OptionValues& values, int64_t length) -> std::optional<int64_t> {
        return depth_for(list.read(values), length);
      },
      .take_from = take_from};
}

}  // namespace warptape
