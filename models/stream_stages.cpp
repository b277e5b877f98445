#include "models/stream_stages.h"

#include <optional>
#include <string>
#include <typeinfo>
#include <utility>

#include "core/check.h"
#include "layers/channel_dropout.h"
#include "layers/conv1d.h"
#include "layers/conv_transpose1d.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/temporal_block.h"
#include "models/stream_builder.h"
#include "models/stream_padding.h"
#include "models/stream_weights.h"
#include "models/tcn.h"

namespace warptape {
namespace {

using streaming::Activation;
using streaming::Filters;
using streaming::Source;
using streaming::Stage;

// The model itself, not one of a class made of it: that may compute something else.
template <class Layer>
Layer* exactly(Module& module) {
  return typeid(module) == typeid(Layer) ? static_cast<Layer*>(&module) : nullptr;
}

Activation of_stage(BlockActivation activation) {
  switch (activation) {
    case BlockActivation::ReLU:
      return Activation::ReLU;
    case BlockActivation::Tanh:
      return Activation::Tanh;
    case BlockActivation::LeakyReLU:
      return Activation::LeakyReLU;
    case BlockActivation::GELU:
      return Activation::GELU;
    case BlockActivation::Gated:
      return Activation::Gated;
    case BlockActivation::None:
      break;
  }
  return Activation::None;
}

class Stager {
 public:
  Stager(Device device, int64_t block, const Site& site)
      : builder_(device, block, site), site_(site) {}

  void append(Module& module, const std::string& path) {
    if (auto* net = exactly<TemporalConvNet>(module)) {
      append_net(*net, path);
    } else if (auto* list = exactly<Sequential>(module)) {
      for (size_t i = 0; i < list->size(); ++i) {
        append((*list)[i], inside(path, std::to_string(i)));
      }
    } else if (auto* block = exactly<TemporalBlock>(module)) {
      append_block(*block, path);
    } else if (auto* convolution = exactly<Conv1d>(module)) {
      append_convolution(*convolution, path);
    } else if (auto* transposed = exactly<ConvTranspose1d>(module)) {
      append_transposed(*transposed, path);
    } else if (auto* norm = exactly<BatchNorm1d>(module)) {
      append_batch_norm(*norm, path);
    } else if (exactly<ReLU>(module) != nullptr) {
      check<ValueError>(builder_.has_begun(), site_,
                        "[stream] {}: got a ReLU in front of all convolutions, wanted one behind",
                        name(path));
      current_ = builder_.append({.source = Source::Row, .last = Activation::ReLU},
                                 {.in = current_}, builder_.channels(current_));
    } else {
      const bool is_dropout =
          exactly<Dropout>(module) || exactly<ChannelDropout>(module) || exactly<Dropout1d>(module);
      check<ValueError>(is_dropout, site_,
                        "[stream] {}: got a {}, wanted a TCN, or a TemporalConvNet, TemporalBlock, "
                        "Conv1d, ConvTranspose1d, BatchNorm1d, ReLU, dropout or a Sequential of "
                        "these",
                        name(path), module.type_name());
    }
  }

  StreamStages append_tcn(TCN& model) {
    append(model.tcn, "tcn");
    const Tensor weight = folded(model.linear.weight, "linear");
    const Shape filters{weight.size(0), weight.size(1), 1};
    append_filters(packed(weight.view(filters), on_cpu(model.linear.bias), 1, 1, "linear"), 0,
                   "linear");
    StreamStages stages = finish();
    stages.steps_first = true;
    return stages;
  }

  StreamStages finish() {
    check<ValueError>(!builder_.is_empty(), site_,
                      "[stream] model: got one without layers that compute, wanted one or more");
    return builder_.finish();
  }

 private:
  using Reads = StreamBuilder::Reads;

  static std::string inside(const std::string& path, const std::string& field) {
    return path.empty() ? field : path + "." + field;
  }
  static std::string name(const std::string& path) { return path.empty() ? "model" : path; }

  static Tensor on_cpu(const Parameter& parameter) {
    return parameter.defined() ? parameter.value().detach().to(cpu) : Tensor();
  }

  Tensor folded(Weight& weight, const std::string& path) const {
    check<DTypeError>(!weight.computes_in_bfloat16(), site_,
                      "[stream] {}: got a layer that computes in bfloat16, wanted float32 or "
                      "float64",
                      name(path));
    return weight.value(site_).detach().to(cpu).to(MemoryFormat::RowMajor);
  }

  void check_dtype(DType dtype, const std::string& path) const {
    check<DTypeError>(dtype == builder_.dtype() && (dtype == float32 || dtype == float64), site_,
                      "[stream] {}: got a weight of {}, wanted float32 or float64, as {}",
                      name(path), to_string(dtype), to_string(builder_.dtype()));
  }

  Filters packed(const Tensor& weight, const Tensor& bias, int64_t groups, int64_t dilation,
                 const std::string& path) {
    if (!builder_.has_begun()) {
      builder_.begin(weight.size(1) * groups, weight.dtype());
    }
    check_dtype(weight.dtype(), path);
    return streaming::pack_filters(weight, bias, groups, dilation, builder_.device());
  }

  // Its filters; with a batch norm behind them, folded in.
  Filters filters_of(Conv1d& convolution, const std::string& path,
                     const ScaleAndShift* norm = nullptr) {
    const Conv1d::Options& options = convolution.options();
    Tensor weight = folded(convolution.weight, path);
    Tensor bias = on_cpu(convolution.bias);
    if (norm != nullptr) {
      fold(*norm, weight, bias);
    }
    return packed(weight, bias, options.groups, options.dilation, path);
  }

  void check_channels(int64_t given, int64_t wanted, const std::string& path) const {
    check<ShapeError>(given == wanted, site_, "[stream] {}: got {} channels, wanted {}", name(path),
                      given, wanted);
  }

  void append_filters(Filters filters, int64_t ahead, const std::string& path) {
    check_channels(builder_.channels(current_), filters.in_channels, path);
    const int64_t channels = filters.out_channels;
    current_ = builder_.append({.filters = std::move(filters)}, {.in = current_, .ahead = ahead},
                               channels);
  }

  void append_convolution(Conv1d& convolution, const std::string& path) {
    if (convolution.options().stride == 1) {
      append_filters(filters_of(convolution, path),
                     ahead_of(convolution.options(), name(path), site_), path);
    } else {
      append_strided(convolution, path);
    }
  }

  void append_strided(Conv1d& convolution, const std::string& path) {
    const Conv1d::Options& options = convolution.options();
    const StridedTaps taps = taps_of(options, name(path), site_);
    Stage stage;
    stage.source = Source::Strided;
    stage.stride = options.stride;
    stage.filters = filters_of(convolution, path);
    check_channels(builder_.channels(current_), stage.filters.in_channels, path);
    current_ = builder_.append_strided(std::move(stage), current_, taps.before, taps.reach);
  }

  void append_transposed(ConvTranspose1d& convolution, const std::string& path) {
    const ConvTranspose1d::Options& options = convolution.options();
    const StridedTaps taps = taps_of(options, name(path), site_);
    const Tensor weight = as_convolution(folded(convolution.weight, path), options.groups);
    const Tensor bias = on_cpu(convolution.bias);
    Stage stage;
    stage.source = Source::Transposed;
    stage.stride = options.stride;
    stage.filters = packed(weight, bias, options.groups, options.dilation, path);
    check_channels(builder_.channels(current_), stage.filters.in_channels, path);
    if (builder_.device().type == DeviceType::CPU) {
      stage.filters.weights = Tensor();
      for (int64_t phase = 0; phase < options.stride; ++phase) {
        stage.phases.push_back(phase_of(weight, bias, options, phase, builder_.device()));
      }
    }
    current_ = builder_.append_transposed(std::move(stage), current_, taps.before, taps.reach);
  }

  void append_batch_norm(BatchNorm1d& norm, const std::string& path) {
    const ScaleAndShift made = in_eval(norm, name(path), site_);
    const int64_t channels = norm.options().num_features;
    const DType dtype = norm.options().dtype;
    const Tensor weight = Tensor::from_vector(made.scale, {channels, 1, 1}).to(dtype);
    const Tensor bias = Tensor::from_vector(made.shift, {channels}).to(dtype);
    append_filters(packed(weight, bias, channels, 1, path), 0, path);
  }

  streaming::RowNorm row_norm(LayerNorm& norm) const {
    return {.weight = norm.weight.value(site_).detach().to(builder_.device()),
            .bias = norm.bias.value().detach().to(builder_.device()),
            .eps = norm.options().eps};
  }

  // A block's convolution, its norm, and what `behind` does with them.
  size_t append_normalized(Conv1d& convolution, const std::string& path,
                           std::optional<BatchNorm1d>& batch, std::optional<LayerNorm>& layer,
                           Stage behind, Reads reads, int64_t channels) {
    std::optional<ScaleAndShift> scale;
    if (batch) {
      scale = in_eval(*batch, name(path), site_);
    }
    Filters filters = filters_of(convolution, path, scale ? &*scale : nullptr);
    check_channels(builder_.channels(reads.in), filters.in_channels, path);
    reads.ahead = ahead_of(convolution.options(), name(path), site_);
    if (layer) {
      const int64_t normalized = filters.out_channels;
      reads.in = builder_.append({.filters = std::move(filters)},
                                 {.in = reads.in, .ahead = reads.ahead}, normalized);
      reads.ahead = 0;
      behind.source = Source::LayerNorm;
      behind.norm = row_norm(*layer);
    } else {
      behind.filters = std::move(filters);
    }
    return builder_.append(std::move(behind), reads, channels);
  }

  void take_condition(Stage& stage, TemporalBlock& block, const std::string& path) {
    const int64_t channels = block.options().condition_channels;
    const int64_t others = builder_.condition_channels();
    check<ShapeError>(others == 0 || others == channels, site_,
                      "[stream] {}: got a condition of {} channels, wanted {}, as in front of it",
                      path, channels, others);
    const Tensor weight = folded(block.condition->weight, path);
    stage.conditioning = streaming::pack_filters(weight, Tensor(), 1, 1, builder_.device());
    builder_.take_condition(channels);
  }

  // The sum of the skips so far, and what follows it.
  struct Skips {
    std::optional<size_t> sum{};
    Activation activation = Activation::None;
  };

  // skips: null where nobody asks for the block's. Of the last block that is asked only they are.
  void append_block(TemporalBlock& block, const std::string& path, Skips* skips = nullptr,
                    bool is_last = false) {
    const TemporalBlock::Options& options = block.options();
    const Activation activation = of_stage(options.activation);
    Stage first{.first = activation, .negative_slope = options.negative_slope};
    const std::string path1 = inside(path, "conv1");
    if (block.condition) {
      take_condition(first, block, inside(path, "condition"));
    }
    const size_t in = current_;
    const size_t hidden =
        append_normalized(block.conv1, path1, block.batch_norm1, block.layer_norm1,
                          std::move(first), {.in = in}, options.hidden_channels);
    Stage end{.last = of_stage(options.output_activation),
              .negative_slope = options.negative_slope};
    if (block.residual) {
      const std::string residual = inside(path, options.residual_name);
      end.shortcut = filters_of(*block.residual, residual);
      check_channels(builder_.channels(in), end.shortcut.in_channels, residual);
    }
    const Activation second = options.activate_second ? activation : Activation::None;
    const auto append_second = [&](Stage behind, const Reads& reads) {
      behind.first = second;
      behind.negative_slope = options.negative_slope;
      return append_normalized(block.conv2, inside(path, "conv2"), block.batch_norm2,
                               block.layer_norm2, std::move(behind), reads, options.out_channels);
    };
    if (skips == nullptr) {
      current_ = append_second(std::move(end), {.in = hidden, .residual = in});
      return;
    }
    current_ = append_second({}, {.in = hidden});
    Stage skip{.filters = filters_of(*block.skip, inside(path, "skip")),
               .last = is_last ? skips->activation : Activation::None,
               .negative_slope = options.negative_slope};
    skips->sum = builder_.append(std::move(skip), {.in = current_, .residual = skips->sum},
                                 options.skip_channels);
    if (!is_last) {
      end.source = Source::Row;
      current_ =
          builder_.append(std::move(end), {.in = current_, .residual = in}, options.out_channels);
    }
  }

  void append_net(TemporalConvNet& net, const std::string& path) {
    const std::string network = inside(path, "network");
    const auto* first = exactly<TemporalBlock>(net.network[0]);
    if (first == nullptr || first->options().skip_channels == 0) {
      append(net.network, network);
      return;
    }
    Skips skips{.activation = of_stage(net.skip_activation())};
    for (size_t i = 0; i < net.network.size(); ++i) {
      const std::string place = inside(network, std::to_string(i));
      auto* block = exactly<TemporalBlock>(net.network[i]);
      check<ValueError>(block != nullptr, site_,
                        "[stream] {}: got a {} among blocks with skips, wanted a TemporalBlock",
                        place, net.network[i].type_name());
      append_block(*block, place, &skips, i + 1 == net.network.size());
    }
    current_ = *skips.sum;
  }

  StreamBuilder builder_;
  Site site_;
  size_t current_ = 0;  // the sequence that the next layer reads
};

// The one of all parameters.
Device device_of(Module& model, const Site& site) {
  const std::vector<NamedParameter> named = named_parameters(model);
  const Device device = named.empty() ? cpu : named.front().parameter->value().device();
  for (const NamedParameter& other : named) {
    const Device found = other.parameter->value().device();
    check<DeviceError>(found == device, site, "[stream] {}: got {}, wanted {}, as {}", other.name,
                       to_string(found), to_string(device), named.front().name);
  }
  return device;
}

}  // namespace

StreamStages stream_stages(Module& model, int64_t block, const Site& site) {
  Stager stager(device_of(model, site), block, site);
  if (auto* tcn = exactly<TCN>(model)) {
    return stager.append_tcn(*tcn);
  }
  stager.append(model, "");
  return stager.finish();
}

}  // namespace warptape
