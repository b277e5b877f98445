#include "training/forecast/forecaster_options.h"

#include <algorithm>
#include <functional>

#include "core/check.h"

namespace warptape::forecasting {
namespace {

struct NamedResidual {
  const char* name;
  Residual residual;
};
constexpr NamedResidual residual_names[] = {{"none", Residual::None},
                                            {"last", Residual::Last},
                                            {"seasonal", Residual::Seasonal},
                                            {"drift_seasonal", Residual::DriftSeasonal},
                                            {"growth", Residual::Growth}};

}  // namespace

std::string to_string(Residual residual) {
  return residual_names[static_cast<size_t>(residual)].name;
}

Residual residual(const std::string& name) {
  for (const NamedResidual& known : residual_names) {
    if (name == known.name) {
      return known.residual;
    }
  }
  throw ValueError(
      fmt::format("[forecast] residual: got \"{}\", wanted none, last, seasonal, "
                  "drift_seasonal or growth",
                  excerpt(name)));
}

const std::vector<Residual>& all_residuals() {
  static const std::vector<Residual> all = {Residual::None, Residual::Last, Residual::Seasonal,
                                            Residual::DriftSeasonal, Residual::Growth};
  return all;
}

int64_t outputs_of(const ForecasterOptions& options) {
  return options.likelihood == Likelihood::Point      ? 1
         : options.likelihood == Likelihood::Gaussian ? 2
                                                      : static_cast<int64_t>(options.levels.size());
}

ForecasterOptions checked(ForecasterOptions options) {
  const std::vector<double>& levels = options.levels;
  const bool ascend = std::adjacent_find(levels.begin(), levels.end(),
                                         std::greater_equal<double>()) == levels.end();
  check<ValueError>(options.likelihood == Likelihood::Point ||
                        (ascend && std::find(levels.begin(), levels.end(), 0.5) != levels.end() &&
                         levels.front() > 0 && levels.back() < 1),
                    "[forecast] levels: got {}, wanted ascending ones above 0 and below 1, 0.5 "
                    "among them",
                    fmt::join(levels, ", "));
  check<ValueError>(options.input >= 1 && options.chunk >= 1 && options.season >= 1,
                    "[forecast] input, chunk, season: got {}, {} and {}, wanted 1 or more",
                    options.input, options.chunk, options.season);
  if (options.head == ForecastHead::Shifted) {
    options.residual = Residual::None;
    check<ValueError>(options.chunk <= options.input,
                      "[forecast] chunk: got {} of a shifted head, wanted no more than the input "
                      "of {}",
                      options.chunk, options.input);
  }
  return options;
}

}  // namespace warptape::forecasting
