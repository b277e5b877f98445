#include "models/forecast_tcn.h"

#include "core/check.h"
#include "kernels/concat/concat.h"
#include "kernels/pointwise/pointwise.h"
#include "kernels/reshape/reshape.h"
#include "kernels/slice/slice.h"
#include "kernels/transpose/transpose.h"
#include "layers/init.h"

namespace warptape {
namespace {

ForecastTCN::Options checked(ForecastTCN::Options options, const Site& site) {
  const auto positive = [&](const char* name, int64_t value, int64_t least) {
    check<ValueError>(value >= least, site, "[ForecastTCN] {}: got {}, wanted {} or more", name,
                      value, least);
  };
  positive("known_channels", options.known_channels, 0);
  positive("chunk", options.chunk, 1);
  positive("outputs", options.outputs, 1);
  positive("window", options.window, 0);
  check<ValueError>(!options.net.channels.empty(), site,
                    "[ForecastTCN] channels: got none, wanted one for each block");
  check<ValueError>(options.net.block.causal, site,
                    "[ForecastTCN] causal: got a centred block, wanted causal ones");
  options.net.input_channels = 1 + options.known_channels;
  if (options.head == ForecastHead::Shifted) {
    // Between the last block's convolutions there are as many channels as elsewhere.
    if (options.net.block.hidden_channels == 0) {
      options.net.block.hidden_channels = options.net.channels.front();
    }
    options.net.channels.back() = options.outputs;
    options.net.last_is_linear = true;
    options.net.block.output_activation = BlockActivation::None;
  }
  return options;
}

// Begins as zeros, so that an untrained model forecasts what its residual is beside.
Linear zero_linear(int64_t in, int64_t out, bool bias, DType dtype, const Site& site) {
  Linear made({.in_features = in, .out_features = out, .bias = bias, .dtype = dtype}, site);
  init::zeros(made.weight);
  if (bias) {
    init::zeros(made.bias);
  }
  return made;
}

}  // namespace

ForecastHead forecast_head(const std::string& name, const Site& site) {
  check<ValueError>(name == "direct" || name == "shifted", site,
                    "[ForecastTCN] head: got \"{}\", wanted direct or shifted", excerpt(name));
  return name == "direct" ? ForecastHead::Direct : ForecastHead::Shifted;
}

Likelihood likelihood(const std::string& name, const Site& site) {
  check<ValueError>(name == "point" || name == "gaussian" || name == "quantiles", site,
                    "[ForecastTCN] likelihood: got \"{}\", wanted point, gaussian or quantiles",
                    excerpt(name));
  return name == "point"      ? Likelihood::Point
         : name == "gaussian" ? Likelihood::Gaussian
                              : Likelihood::Quantiles;
}

std::string to_string(ForecastHead head) {
  return head == ForecastHead::Direct ? "direct" : "shifted";
}

std::string to_string(Likelihood likelihood) {
  return likelihood == Likelihood::Point      ? "point"
         : likelihood == Likelihood::Gaussian ? "gaussian"
                                              : "quantiles";
}

ForecastTCN::ForecastTCN(Options options, const Site& site)
    : options_(checked(std::move(options), site)), tcn(options_.net, site) {
  if (options_.head == ForecastHead::Direct) {
    const DType dtype = options_.net.block.dtype;
    linear = zero_linear(options_.net.channels.back(), options_.chunk * options_.outputs, true,
                         dtype, site);
    if (options_.window > 0) {
      window = zero_linear(options_.window, options_.chunk * options_.outputs, false, dtype, site);
    }
    if (options_.known_channels > 0) {
      known = zero_linear(options_.known_channels, options_.outputs, false, dtype, site);
    }
  }
}

std::string ForecastTCN::settings() const {
  return fmt::format("head={}, chunk={}, outputs={}", to_string(options_.head), options_.chunk,
                     options_.outputs);
}

Tensor ForecastTCN::forward(const Operand& x) {
  check_rank("ForecastTCN", x, 3, "(N, C, L)");
  check<ShapeError>(x.size(1) == 1 + options_.known_channels && x.size(2) > options_.chunk,
                    x.site(), "[ForecastTCN] got shape {}, wanted (N, {}, more than {})", x.shape(),
                    1 + options_.known_channels, options_.chunk);
  return options_.head == ForecastHead::Direct ? direct(x) : shifted(x);
}

Tensor ForecastTCN::direct(const Operand& x) {
  const int64_t now = x.size(2) - options_.chunk;
  const Tensor y = tcn(slice(x, 2, 0, now));
  const Tensor last = reshape(slice(y, 2, -1), {y.size(0), y.size(1)});
  Tensor flat = (*linear)(last);
  if (window) {
    flat = flat + (*window)(reshape(slice(slice(x, 1, 0, 1), 2, 0, now), {x.size(0), now}));
  }
  const Tensor values = reshape(flat, {x.size(0), options_.chunk, options_.outputs});
  if (!known) {
    return values;
  }
  const Tensor future = slice(slice(x, 1, 1), 2, now);
  return values + (*known)(transpose(future, 1, 2));
}

Tensor ForecastTCN::shifted(const Operand& x) {
  const int64_t now = x.size(2) - options_.chunk;
  const Tensor past = slice(slice(x, 1, 0, 1), 2, 0, now);
  if (options_.known_channels == 0) {
    return transpose(tcn(past), 1, 2);
  }
  // What is known of the step that is forecast, beside the newest observation.
  const Tensor of_targets = slice(slice(x, 1, 1), 2, options_.chunk);
  return transpose(tcn(concat(std::vector<Tensor>{past, of_targets}, 1)), 1, 2);
}

}  // namespace warptape
