#include "models/tcn.h"

#include "core/check.h"
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

TemporalConvNet::TemporalConvNet(const Options& options, const Site& site)
    : causal_(options.block.causal) {
  const size_t blocks = options.channels.size();
  check<ValueError>(blocks >= 1, site, "[TCN] channels: got none, wanted one for each block");
  const std::vector<int64_t> sizes =
      per_block("kernel_sizes", options.kernel_sizes,
                std::vector<int64_t>(blocks, options.kernel_size), site);
  const std::vector<int64_t> dilations =
      options.dilations.empty()
          ? dilations_of(options.dilation_base, static_cast<int64_t>(blocks))
          : per_block("dilations", options.dilations, std::vector<int64_t>(blocks), site);
  for (size_t i = 0; i < blocks; ++i) {
    TemporalBlock::Options block = options.block;
    block.in_channels = i == 0 ? options.input_channels : options.channels[i - 1];
    block.out_channels = options.channels[i];
    block.kernel_size = sizes[i];
    block.dilation = dilations[i];
    network.append(TemporalBlock(block, site));
    kernels_.insert(kernels_.end(), 2, {sizes[i], dilations[i]});
  }
}

std::string TemporalConvNet::settings() const {
  return fmt::format("receptive_field={}", receptive_field()) +
         (causal_ ? "" : fmt::format(", look_ahead={}", look_ahead()));
}

int64_t TemporalConvNet::receptive_field() const {
  return warptape::receptive_field(kernels_);
}

int64_t TemporalConvNet::look_ahead() const {
  return causal_ ? 0 : warptape::look_ahead(kernels_);
}

TCN::TCN(const Options& options, const Site& site)
    : tcn(checked(options, site).net, site),
      linear({.in_features = options.net.channels.back(),
              .out_features = options.output_size,
              .dtype = options.net.block.dtype},
             site),
      head_(options.head) {
  init::normal(linear.weight, 0, 0.01);
}

Tensor TCN::forward(const Operand& x) {
  check_rank("TCN", x, 3, "(N, C, L)");
  check<ShapeError>(x.size(2) >= 1, x.site(), "[TCN] length: got 0 in shape {}, wanted 1 or more",
                    x.shape());
  const Tensor y = tcn(x);
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
  return kept;
}

TCN::Options tcn_options_for(const StateDict& checkpoint, TCN::Head head) {
  const StateDict state = without_wrappers(without_duplicates(checkpoint));
  TCN::Options options;
  options.head = head;
  TemporalConvNet::Options& net = options.net;
  while (true) {
    const std::string layer = "tcn.network." + std::to_string(net.channels.size()) + ".conv1";
    const Tensor* filters = find_weight(state, layer, 3);
    if (filters == nullptr) {
      break;
    }
    if (net.channels.empty()) {
      net.input_channels = filters->size(1);
      net.block.dtype = filters->dtype() == float64 ? float64 : float32;
      net.block.weight_norm = !has_key(state, layer + ".weight");
    }
    net.channels.push_back(filters->size(0));
    net.kernel_sizes.push_back(filters->size(2));
  }
  check<ValueError>(!net.channels.empty(),
                    "[TCN] checkpoint: there is no filter tcn.network.0.conv1.weight (or weight_v) "
                    "of rank 3 among {} tensors",
                    state.size());
  const Tensor* weight = find_weight(state, "linear", 2);
  check<ValueError>(weight != nullptr,
                    "[TCN] checkpoint: there is no linear.weight of rank 2 among {} tensors",
                    state.size());
  options.output_size = weight->size(0);
  return options;
}

}  // namespace warptape
