// A forecaster on "cuda" against the same on the CPU.

#include <gtest/gtest.h>

#include "tests/core/device/gpu_test.h"
#include "training/forecast/forecaster.h"

namespace warptape::forecasting {
namespace {

class GpuForecaster : public GpuTest {};

TEST_F(GpuForecaster, ForecastsAsOnTheCpu) {
  Series series;
  series.name = "x";
  Values known;
  for (int t = 0; t < 24; ++t) {
    series.values.push_back(10 + 0.5 * t + (t % 4 == 1 ? 3 : 0));
    series.lines.push_back(t + 2);
    known.push_back(t % 3);
  }
  series.times = Times::numbered(24);
  series.known = {known};
  SeriesSet data{.path = "t.csv", .series = {series}, .known_names = {"k"}, .warnings = {}};
  ForecasterOptions options;
  options.input = 8;
  options.chunk = 2;
  options.season = 4;
  options.channels = {3};
  options.dropout = 0;
  options.epochs = 2;
  options.residual = Residual::Seasonal;
  options.likelihood = Likelihood::Quantiles;
  Forecaster on_cpu(data, {20}, options);
  options.device = cuda;
  Forecaster on_cuda(data, {20}, options);
  on_cpu.train();
  on_cuda.train();
  const std::vector<WindowForecast> wanted = on_cpu.forecast({{0, 20}, {0, 19}}, 3);
  const std::vector<WindowForecast> got = on_cuda.forecast({{0, 20}, {0, 19}}, 3);
  for (size_t i = 0; i < 2; ++i) {
    for (size_t h = 0; h < 3; ++h) {
      EXPECT_NEAR(got[i].point[h], wanted[i].point[h], 1e-3);
      EXPECT_NEAR(got[i].levels[0][h], wanted[i].levels[0][h], 1e-3);
    }
  }
}

}  // namespace
}  // namespace warptape::forecasting
