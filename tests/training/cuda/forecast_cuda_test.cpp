// A forecaster on "cuda" against the same on the CPU.

#include <gtest/gtest.h>

#include "tests/core/device/gpu_test.h"
#include "training/forecast/study.h"

namespace warptape::forecasting {
namespace {

class GpuForecaster : public GpuTest {};

SeriesSet small_set() {
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
  return {.path = "t.csv", .series = {series}, .known_names = {"k"}, .warnings = {}};
}

ForecasterOptions small() {
  ForecasterOptions options;
  options.input = 8;
  options.chunk = 2;
  options.season = 4;
  options.channels = {3};
  options.dropout = 0;
  options.epochs = 2;
  options.residual = Residual::Seasonal;
  options.likelihood = Likelihood::Quantiles;
  return options;
}

TEST_F(GpuForecaster, ForecastsAsOnTheCpu) {
  const SeriesSet data = small_set();
  ForecasterOptions options = small();
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

// Each on a stream of its own, of which none waits for another.
TEST_F(GpuForecaster, SeedsSideBySideAreTheSame) {
  const SeriesSet data = small_set();
  StudyOptions options;
  options.model = small();
  options.model.device = cuda;
  options.model.dropout = 0.2;
  options.horizon = 2;
  options.seeds = 3;
  options.season = 4;
  options.input = 8;
  options.chunk = 2;
  options.residual = Residual::Seasonal;
  options.epochs = 1;
  const Study one = run_study(data, options);
  options.jobs = 3;
  const Study three = run_study(data, options);
  EXPECT_EQ(one.windows[0].of_seeds, three.windows[0].of_seeds);
  EXPECT_NE(one.windows[0].of_seeds[0], one.windows[0].of_seeds[1]);
}

}  // namespace
}  // namespace warptape::forecasting
