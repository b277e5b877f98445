#include "models/stream_stages.h"

#include <algorithm>
#include <string>
#include <typeinfo>

#include "core/check.h"
#include "core/checked_size.h"
#include "layers/channel_dropout.h"
#include "layers/conv1d.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/relu.h"
#include "layers/sequential.h"
#include "layers/temporal_block.h"
#include "models/receptive_field.h"
#include "models/tcn.h"

namespace warptape {
namespace {

using streaming::Activation;
using streaming::Filters;
using streaming::Ring;
using streaming::Stage;

// Steps that the CPU takes through all stages at once, while the caches have their rows.
constexpr int64_t cpu_chunk = 48;

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

class Builder {
 public:
  Builder(Device device, int64_t block, const Site& site) : block_(block), site_(site) {
    result_.device = device;
  }

  void append(Module& module, const std::string& path) {
    if (auto* net = exactly<TemporalConvNet>(module)) {
      append(net->network, inside(path, "network"));
    } else if (auto* list = exactly<Sequential>(module)) {
      for (size_t i = 0; i < list->size(); ++i) {
        append((*list)[i], inside(path, std::to_string(i)));
      }
    } else if (auto* block = exactly<TemporalBlock>(module)) {
      append_block(*block, path);
    } else if (auto* convolution = exactly<Conv1d>(module)) {
      Stage stage;
      stage.filters = filters_of(*convolution, path);
      append_convolution(std::move(stage), ahead_of(*convolution, path), path);
    } else if (exactly<ReLU>(module) != nullptr) {
      append_relu(path);
    } else {
      const bool is_dropout =
          exactly<Dropout>(module) || exactly<ChannelDropout>(module) || exactly<Dropout1d>(module);
      check<ValueError>(is_dropout, site_,
                        "[stream] {}: got a {}, wanted a TCN, or a TemporalConvNet, TemporalBlock, "
                        "Conv1d, ReLU, dropout or a Sequential of these",
                        name(path), module.type_name());
    }
  }

  void append_tcn(TCN& model) {
    append(model.tcn, "tcn");
    Stage head;
    const Tensor weight = folded(model.linear.weight, "linear");
    const Shape filters{weight.size(0), weight.size(1), 1};
    head.filters = packed(weight.view(filters), model.linear.bias, 1, 1, "linear");
    append_convolution(std::move(head), 0, "linear");
    result_.steps_first = true;
  }

  StreamStages finish() {
    check<ValueError>(!drafts_.empty(), site_,
                      "[stream] model: got one without layers that compute, wanted one or more");
    result_.in_channels = rings_.front().channels;
    result_.out_channels = rings_.back().channels;
    streaming::Stages& stages = result_.stages;
    stages.chunk = result_.device.type == DeviceType::CPU ? std::min(block_, cpu_chunk) : block_;
    stages.delay = rings_.back().delay;
    const std::vector<Ring> rings = lay_out();
    stages.input = rings.front();
    for (Draft& draft : drafts_) {
      Stage& stage = draft.stage;
      stage.in = rings[draft.in];
      stage.residual = draft.has_residual ? rings[draft.in_of_residual] : Ring{};
      stage.channels = rings_[draft.out].channels;
      stage.delay = rings_[draft.out].delay;
      stage.out = draft.out + 1 == rings_.size() ? Ring{} : rings[draft.out];
      for (int64_t channels : {stage.channels, stage.filters.out_channels}) {
        stages.row_elements = std::max(stages.row_elements, streaming::padded_row(channels));
      }
      stages.list.push_back(std::move(stage));
    }
    return std::move(result_);
  }

 private:
  struct RingDraft {
    int64_t channels = 0;
    int64_t delay = 0;
    int64_t history = 0;
  };
  struct Draft {
    Stage stage;
    size_t in = 0;
    size_t out = 0;
    bool has_residual = false;
    size_t in_of_residual = 0;
  };

  static std::string inside(const std::string& path, const std::string& field) {
    return path.empty() ? field : path + "." + field;
  }
  static std::string name(const std::string& path) { return path.empty() ? "model" : path; }

  Tensor folded(Weight& weight, const std::string& path) const {
    check<DTypeError>(!weight.computes_in_bfloat16(), site_,
                      "[stream] {}: got a layer that computes in bfloat16, wanted float32 or "
                      "float64",
                      name(path));
    return weight.value(site_).detach().to(cpu).to(MemoryFormat::RowMajor);
  }

  Filters packed(const Tensor& weight, const Parameter& bias, int64_t groups, int64_t dilation,
                 const std::string& path) {
    if (rings_.empty()) {
      result_.dtype = weight.dtype();
      rings_.push_back({.channels = weight.size(1) * groups});
    }
    check<DTypeError>(
        weight.dtype() == result_.dtype && (weight.dtype() == float32 || weight.dtype() == float64),
        site_, "[stream] {}: got a weight of {}, wanted float32 or float64, as {}", name(path),
        to_string(weight.dtype()), to_string(result_.dtype));
    return streaming::pack_filters(weight,
                                   bias.defined() ? bias.value().detach().to(cpu) : Tensor(),
                                   groups, dilation, result_.device);
  }

  Filters filters_of(Conv1d& convolution, const std::string& path) {
    const Conv1d::Options& options = convolution.options();
    check<ValueError>(options.stride == 1, site_, "[stream] {}: stride: got {}, wanted 1",
                      name(path), options.stride);
    return packed(folded(convolution.weight, path), convolution.bias, options.groups,
                  options.dilation, path);
  }

  // How many elements after its own an output depends on.
  int64_t ahead_of(const Conv1d& convolution, const std::string& path) const {
    const Conv1d::Options& options = convolution.options();
    const DilatedKernel kernel{options.kernel_size, options.dilation};
    const AxisPadding& padding = options.padding.axis;
    switch (padding.rule) {
      case AxisPadding::Rule::Causal:
        return 0;
      case AxisPadding::Rule::Same:
        return look_ahead({&kernel, 1});
      case AxisPadding::Rule::Given:
        break;
    }
    const int64_t reach = receptive_field({&kernel, 1}) - 1;
    check<ValueError>(padding.after == reach - padding.before, site_,
                      "[stream] {}: padding: got {}, wanted causal, same, or {} zeros in all, so "
                      "that there is an output for every element",
                      name(path), options.padding.to_string(), reach);
    return padding.after;
  }

  void check_channels(int64_t given, int64_t wanted, const std::string& path) const {
    check<ShapeError>(given == wanted, site_, "[stream] {}: got {} channels, wanted {}", name(path),
                      given, wanted);
  }

  // The stage reads the last ring and makes the next one.
  void append_convolution(Stage stage, int64_t ahead, const std::string& path,
                          int64_t channels = 0) {
    check_channels(rings_.back().channels, stage.filters.in_channels, path);
    const int64_t reach = (stage.filters.taps - 1) * stage.filters.dilation;
    const size_t in = rings_.size() - 1;
    rings_[in].history = std::max(rings_[in].history, reach);
    rings_.push_back({.channels = channels == 0 ? stage.filters.out_channels : channels,
                      .delay = rings_[in].delay + ahead});
    drafts_.push_back({.stage = std::move(stage), .in = in, .out = in + 1});
  }

  void append_block(TemporalBlock& block, const std::string& path) {
    const TemporalBlock::Options& options = block.options();
    Stage first;
    first.filters = filters_of(block.conv1, inside(path, "conv1"));
    first.first = of_stage(options.activation);
    first.negative_slope = options.negative_slope;
    const size_t in = rings_.size() - 1;
    append_convolution(std::move(first), ahead_of(block.conv1, inside(path, "conv1")),
                       inside(path, "conv1"), options.hidden_channels);
    Stage second;
    second.filters = filters_of(block.conv2, inside(path, "conv2"));
    second.first = options.activate_second ? of_stage(options.activation) : Activation::None;
    second.last = of_stage(options.output_activation);
    second.negative_slope = options.negative_slope;
    if (block.residual) {
      const std::string residual = inside(path, options.residual_name);
      second.shortcut = filters_of(*block.residual, residual);
      check_channels(rings_[in].channels, second.shortcut.in_channels, residual);
    }
    append_convolution(std::move(second), ahead_of(block.conv2, inside(path, "conv2")),
                       inside(path, "conv2"), options.out_channels);
    Draft& draft = drafts_.back();
    draft.has_residual = true;
    draft.in_of_residual = in;
    draft.stage.lag = rings_.back().delay - rings_[in].delay;
    rings_[in].history = std::max(rings_[in].history, draft.stage.lag);
  }

  void append_relu(const std::string& path) {
    check<ValueError>(!rings_.empty(), site_,
                      "[stream] {}: got a ReLU in front of all convolutions, wanted one behind",
                      name(path));
    const size_t in = rings_.size() - 1;
    Stage stage;
    stage.last = Activation::ReLU;
    rings_.push_back({.channels = rings_[in].channels, .delay = rings_[in].delay});
    drafts_.push_back({.stage = std::move(stage),
                       .in = in,
                       .out = in + 1,
                       .has_residual = true,
                       .in_of_residual = in});
  }

  // The rings but for the last, which is the output, one behind the other.
  std::vector<Ring> lay_out() {
    std::vector<Ring> rings;
    CheckedSize end = 0;
    for (size_t i = 0; i + 1 < rings_.size(); ++i) {
      const RingDraft& draft = rings_[i];
      const CheckedSize rows = CheckedSize(draft.history) + result_.stages.chunk;
      const int64_t stride = streaming::padded_row(draft.channels);
      rings.push_back({.offset = end.value(),
                       .rows = rows.value(),
                       .stride = stride,
                       .channels = draft.channels,
                       .history = draft.history});
      end = end + (rows + streaming::ring_margin) * stride;
    }
    check<ValueError>((end * 8).fits(), site_,
                      "[stream] model: got more history than 64 bits count, wanted less");
    result_.stages.elements = end.value();
    return rings;
  }

  int64_t block_;
  Site site_;
  StreamStages result_;
  std::vector<RingDraft> rings_;
  std::vector<Draft> drafts_;
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
  Builder builder(device_of(model, site), block, site);
  if (auto* tcn = exactly<TCN>(model)) {
    builder.append_tcn(*tcn);
  } else {
    builder.append(model, "");
  }
  return builder.finish();
}

}  // namespace warptape
