#include "models/index_stream.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "core/primitives.h"

namespace warptape {
namespace {

Tensor float64_of(Weight& weight) {
  return weight.value().detach().to(cpu).to(float64);
}

}  // namespace

IndexStream::IndexStream(EmbeddedTCN& model, const Site& site)
    : stream_(model.tcn, {.batch = 1, .block = 1}, site),
      state_(stream_.zeros()),
      table_(model.encoder.weight.value().detach().to(MemoryFormat::RowMajor)),
      weights_(float64_of(model.decoder.weight)),
      bias_(model.decoder.bias.value().detach().to(cpu).to(float64)),
      x_(Tensor::empty({1, stream_.in_channels(), 1}, stream_.dtype())),
      y_(Tensor::empty(stream_.output_shape(1), stream_.dtype())),
      logits_(static_cast<size_t>(weights_.size(0))) {
  check<DeviceError>(stream_.device() == cpu, site, "[IndexStream] model: got it on {}, wanted cpu",
                     to_string(stream_.device()));
  check<ValueError>(stream_.delay() == 0, site,
                    "[IndexStream] model: got one whose outputs see {} steps after them, wanted a "
                    "causal one",
                    stream_.delay());
}

const std::vector<double>& IndexStream::step(int64_t index, const Site& site) {
  check<ValueError>(index >= 0 && index < vocabulary(), site,
                    "[IndexStream] index: got {}, wanted 0 to {}", index, vocabulary() - 1);
  primitives::copy(table_.slice(index, index + 1).view(x_.shape()), x_);
  stream_.step(state_, x_, y_, site);
  const std::vector<double> hidden = primitives::cast(y_, float64).to_vector<double>();
  const double* row = weights_.data<double>();
  const double* bias = bias_.data<double>();
  for (double& logit : logits_) {
    logit = std::inner_product(hidden.begin(), hidden.end(), row, *bias++);
    row += hidden.size();
  }
  return logits_;
}

void IndexStream::reset() {
  stream_.reset(state_);
}

int64_t sample_index(const std::vector<double>& logits, double uniform,
                     const SamplingOptions& options, const Site& site) {
  check<ValueError>(options.temperature >= 0 && std::isfinite(options.temperature), site,
                    "[sample_index] temperature: got {}, wanted a number of 0 or more",
                    options.temperature);
  check<ValueError>(options.top_k >= 0, site, "[sample_index] top_k: got {}, wanted 0 or more",
                    options.top_k);
  const auto largest = std::max_element(logits.begin(), logits.end());
  check<ValueError>(
      largest != logits.end() && std::isfinite(*largest) &&
          std::none_of(logits.begin(), logits.end(), [](double v) { return std::isnan(v); }),
      site, "[sample_index] logits: got {} with NaN, infinity or nothing among them",
      logits.size());
  if (options.temperature == 0) {
    return largest - logits.begin();
  }
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (options.top_k > 0 && static_cast<size_t>(options.top_k) < order.size()) {
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    order.resize(static_cast<size_t>(options.top_k));
    std::sort(order.begin(), order.end());
  }
  std::vector<double> sums;
  double sum = 0;
  for (const size_t i : order) {
    sum += std::exp((logits[i] - *largest) / options.temperature);
    sums.push_back(sum);
  }
  // The first one whose share ends behind the number.
  const auto found = std::upper_bound(sums.begin(), sums.end(), uniform * sum);
  const size_t place = std::min(static_cast<size_t>(found - sums.begin()), order.size() - 1);
  return static_cast<int64_t>(order[place]);
}

}  // namespace warptape
