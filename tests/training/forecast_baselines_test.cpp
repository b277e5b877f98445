// Baselines, seasons and errors, by hand.

#include "training/forecast/baselines.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/training/bad_files.h"
#include "training/csv.h"

namespace warptape::forecasting {
namespace {

double mape_of(const Values& actual, const Values& forecast) {
  ErrorSums sums;
  for (size_t i = 0; i < actual.size(); ++i) {
    sums.add(actual[i], forecast[i], 1);
  }
  return sums.mean().mape;
}

TEST(ForecastBaselines, ByHand) {
  const Values seen{1, 2, 4, 3, 5, 9};
  EXPECT_EQ(naive(seen, 2), (Values{9, 9}));
  EXPECT_EQ(seasonal_naive(seen, 5, 3), (Values{3, 5, 9, 3, 5}));
  const Values drift = drift_seasonal(seen, 4, 2);
  for (size_t h = 0; h < 4; ++h) {
    EXPECT_DOUBLE_EQ(drift[h], (h % 2 == 0 ? 5 : 9) + 8.0 / 5 * static_cast<double>(h + 1));
  }
  expect_error<ValueError>([&] { seasonal_naive(seen, 1, 7); }, {"got 6 values", "season of 7"});
}

// What Darts' models make of these two windows, as published.
TEST(ForecastBaselines, ReachThePublishedErrors) {
  const Values all =
      read_csv(WARPTAPE_SOURCE_DIR "/data/air_passengers.csv").numbers("#Passengers");
  for (const auto& [train, steps, wanted] :
       {std::tuple<long, long, double>{115, 24, 3.79}, {108, 36, 5.66}}) {
    const Values seen(all.begin(), all.begin() + train);
    const Values actual(all.begin() + train, all.begin() + train + steps);
    EXPECT_NEAR(mape_of(actual, drift_seasonal(seen, steps, 12)), wanted, 0.005);
  }
}

TEST(ForecastBaselines, RegressionFindsWhatIsLinear) {
  // x[t] = 1.5 x[t-1] - 0.9 x[t-2] + 0.3 k[t] + 0.1
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  Values x{0.3, -0.2};
  Values k{0, 0};
  std::vector<LinearRegression::Row> rows;
  for (size_t t = 2; t < 40; ++t) {
    k.push_back(uniform(random));
    x.push_back(1.5 * x[t - 1] - 0.9 * x[t - 2] + 0.3 * k[t] + 0.1);
  }
  for (size_t t = 2; t < 40; ++t) {
    rows.push_back({std::span(x).first(t), {k[t]}, x[t]});
  }
  const LinearRegression fitted(2, rows);
  EXPECT_NEAR(fitted.next(Values{7, 1, 2}, {1}), 1.5 * 2 - 0.9 * 1 + 0.3 + 0.1, 1e-5);
  // Fewer rows than numbers to find: still a fit, of its rows.
  const LinearRegression few(8, {rows.begin() + 10, rows.begin() + 12});
  EXPECT_NEAR(few.next(rows[10].seen, rows[10].known), rows[10].next, 1e-4);
  expect_error<ValueError>([] { LinearRegression(2, {}); }, {"no rows"});
}

TEST(ForecastBaselines, FindTheSeason) {
  const Values passengers =
      read_csv(WARPTAPE_SOURCE_DIR "/data/air_passengers.csv").numbers("#Passengers");
  EXPECT_EQ(find_season(passengers), 12);
  EXPECT_EQ(find_season(std::span(passengers).first(60)), 12);
  Values week;
  Values fortnight;  // nearly a week's
  Values noise;
  Values line;
  std::mt19937 random(5);
  std::normal_distribution<double> normal;
  for (int t = 0; t < 140; ++t) {
    week.push_back(0.5 * t + (t % 7 == 5 ? 9 : 0) + (t % 7 == 6 ? 12 : 0) + 0.1 * normal(random));
    fortnight.push_back((t % 7 == 5 ? 9 : 0) + (t % 14 == 5 ? 2 : 0));
    noise.push_back(normal(random));
    line.push_back(3.0 * t);
  }
  EXPECT_EQ(find_season(week), 7);
  EXPECT_EQ(find_season(fortnight), 7);
  EXPECT_EQ(find_season(noise), 1);
  EXPECT_EQ(
      find_season(read_csv(WARPTAPE_SOURCE_DIR "/data/monthly_sunspots.csv").numbers("Sunspots")),
      1)
      << "its cycle is not in differences from month to month";
  EXPECT_EQ(find_season(line), 1) << "its differences do not vary";
  EXPECT_EQ(find_season(Values(50, 2.0)), 1);
  EXPECT_EQ(find_season(Values{1, 2, 3}), 1);
}

TEST(ForecastErrors, ByHand) {
  ErrorSums sums;
  sums.add(10, 8, 4);
  sums.add(-5, 5, 4);
  const Errors errors = sums.mean();
  EXPECT_DOUBLE_EQ(errors.mape, (20 + 200) / 2.0);
  EXPECT_DOUBLE_EQ(errors.smape, (200 * 2 / 18.0 + 200 * 10 / 10.0) / 2);
  EXPECT_DOUBLE_EQ(errors.mae, 6);
  EXPECT_DOUBLE_EQ(errors.rmse, std::sqrt((4 + 100) / 2.0));
  EXPECT_DOUBLE_EQ(errors.mase, 1.5);
  sums.add(0, 1, 4);
  EXPECT_TRUE(std::isnan(sums.mean().mape)) << "there is no percentage of 0";
  EXPECT_DOUBLE_EQ(seasonal_scale(Values{1, 2, 4, 7}, 2), (3 + 5) / 2.0);
  EXPECT_TRUE(std::isnan(seasonal_scale(Values{1, 2}, 2)));
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-12);
}

}  // namespace
}  // namespace warptape::forecasting
