// Forecasters and studies, on series that are quick to learn.

#include "training/forecast/study.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/training/bad_files.h"
#include "training/forecast/report.h"

namespace warptape::forecasting {
namespace {

Series make_series(const std::string& name, Values values) {
  Series series;
  series.name = name;
  series.times = Times::numbered(static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    series.lines.push_back(static_cast<int64_t>(i) + 2);
  }
  series.values = std::move(values);
  return series;
}

SeriesSet set_of(std::vector<Series> series) {
  SeriesSet set;
  set.path = "t.csv";
  set.series = std::move(series);
  return set;
}

// A season of 4 that grows.
Values growing(int64_t rows, double level = 10) {
  Values values;
  for (int64_t t = 0; t < rows; ++t) {
    const double wave[] = {0, 3, 1, -2};
    values.push_back(level + 0.5 * static_cast<double>(t) + wave[t % 4]);
  }
  return values;
}

ForecasterOptions small() {
  ForecasterOptions options;
  options.input = 8;
  options.chunk = 3;
  options.season = 4;
  options.channels = {4};
  options.dropout = 0;
  options.epochs = 2;
  options.weight_decay = 0;
  options.residual = Residual::Seasonal;
  return options;
}

StudyOptions small_study() {
  StudyOptions options;
  options.model = small();
  options.horizon = 5;
  options.test = 7;
  options.seeds = 3;
  options.season = 4;
  options.input = 8;
  options.chunk = 3;
  options.residual = Residual::Growth;
  options.log = false;
  options.epochs = 3;
  return options;
}

TEST(Forecaster, BeginsAsItsResidual) {
  const SeriesSet data = set_of({make_series("x", growing(40)), make_series("y", growing(30, 99))});
  for (const Residual residual : all_residuals()) {
    for (const bool log : {false, true}) {
      ForecasterOptions options = small();
      options.residual = residual;
      options.log = log;
      Forecaster forecaster(data, {30, 24}, options);
      EXPECT_EQ(forecaster.windows(), (30 - 8 - 3 + 1) + (24 - 8 - 3 + 1));
      const std::vector<WindowForecast> made = forecaster.forecast({{0, 30}, {1, 12}}, 3);
      ASSERT_EQ(made.size(), 2U);
      const std::span<const double> seen = std::span(data.series[0].values).first(30);
      const Values seasonal = seasonal_naive(seen, 3, 4);
      for (size_t h = 0; h < 3; ++h) {
        const double y = made[0].point[h];
        if (residual == Residual::Last) {
          EXPECT_NEAR(y, seen.back(), 1e-9);
        } else if (residual == Residual::Seasonal) {
          EXPECT_NEAR(y, seasonal[h], 1e-9);
          EXPECT_NEAR(made[1].point[h], data.series[1].values[8 + h], 1e-9);
        } else if (residual == Residual::DriftSeasonal && !log) {
          EXPECT_NEAR(y, drift_seasonal(seen, 3, 4)[h], 1e-9);
        } else if (residual == Residual::Growth && !log) {
          EXPECT_NEAR(y, data.series[0].values[30 + h], 1e-9) << "this series grows evenly";
        }
      }
    }
  }
}

TEST(Forecaster, ReadsNothingBehindTheOrigin) {
  SeriesSet data = set_of({make_series("x", growing(40))});
  std::vector<WindowForecast> made[2];
  for (int changed = 0; changed < 2; ++changed) {
    if (changed == 1) {
      for (size_t t = 30; t < 40; ++t) {
        data.series[0].values[t] = 1000;
      }
    }
    Forecaster forecaster(data, {30}, small());
    forecaster.train();
    made[changed] = forecaster.forecast({{0, 30}}, 7);
  }
  EXPECT_EQ(made[0][0].point, made[1][0].point) << "scale, windows and forecasts";
  EXPECT_EQ(made[0][0].point.size(), 7U) << "of a chunk of 3";
}

TEST(Forecaster, WindowsDoNotSeeEachOther) {
  const SeriesSet data = set_of({make_series("x", growing(40)), make_series("y", growing(40, 99))});
  for (const ForecastHead head : {ForecastHead::Direct, ForecastHead::Shifted}) {
    ForecasterOptions options = small();
    options.head = head;
    Forecaster forecaster(data, {30, 30}, options);
    forecaster.train();
    const std::vector<WindowForecast> all = forecaster.forecast({{0, 20}, {1, 33}, {0, 31}}, 7);
    const std::vector<WindowForecast> alone = forecaster.forecast({{1, 33}}, 7);
    for (size_t h = 0; h < 7; ++h) {
      EXPECT_NEAR(all[1].point[h], alone[0].point[h], 1e-4 * alone[0].point[h]);
    }
  }
}

// What comes is known of its row alone.
TEST(Forecaster, LearnsFromWhatIsKnownAhead) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(-1, 1);
  Values known;
  Values values;
  for (int t = 0; t < 120; ++t) {
    known.push_back(uniform(random));
    values.push_back(5 + 2 * known.back());
  }
  Series series = make_series("x", std::move(values));
  series.known = {known};
  SeriesSet data = set_of({std::move(series)});
  data.known_names = {"k"};
  for (const ForecastHead head : {ForecastHead::Direct, ForecastHead::Shifted}) {
    ForecasterOptions options = small();
    options.head = head;
    options.season = 1;
    options.residual = Residual::None;
    options.epochs = 60;
    options.lr = 2e-2;
    Forecaster forecaster(data, {110}, options);
    forecaster.train();
    const WindowForecast made = forecaster.forecast({{0, 110}}, 3)[0];
    for (size_t h = 0; h < 3; ++h) {
      EXPECT_NEAR(made.point[h], data.series[0].values[110 + h], 0.5) << to_string(head);
    }
  }
}

// What comes was in another column a row before, and nothing behind the origin is read.
TEST(Forecaster, LearnsFromWhatWasKnownUpToNow) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(-1, 1);
  Values ahead{uniform(random)};
  Values values;
  for (int t = 0; t < 120; ++t) {
    values.push_back(5 + 2 * ahead.back());
    ahead.push_back(uniform(random));
  }
  ahead.erase(ahead.begin());
  ahead.resize(values.size());
  Series series = make_series("x", std::move(values));
  series.past = {ahead};
  SeriesSet data = set_of({std::move(series)});
  data.past_names = {"p"};
  ForecasterOptions options = small();
  options.chunk = 1;
  options.season = 1;
  options.residual = Residual::None;
  options.epochs = 60;
  options.lr = 2e-2;
  const auto forecast = [&] {
    Forecaster forecaster(data, {110}, options);
    forecaster.train();
    return forecaster.forecast({{0, 110}}, 1)[0].point[0];
  };
  const double made = forecast();
  EXPECT_NEAR(made, data.series[0].values[110], 0.5);
  for (size_t t = 110; t < 120; ++t) {
    data.series[0].past[0][t] = 1000;
  }
  EXPECT_EQ(forecast(), made);
  Forecaster forecaster(data, {110}, options);
  expect_error<ValueError>(
      [&] {
        forecaster.forecast({{0, 110}}, 2);
      },
      {"steps: got 2 with past covariates", "chunk of 1"});
  options.head = ForecastHead::Shifted;
  expect_error<ValueError>([&] { Forecaster(data, {110}, options); }, {"a shifted head"});
}

TEST(Forecaster, LearnsHowWideValuesScatter) {
  std::mt19937 random(11);
  std::normal_distribution<double> normal(20, 4);
  Values values;
  for (int t = 0; t < 400; ++t) {
    values.push_back(normal(random));
  }
  const SeriesSet data = set_of({make_series("x", std::move(values))});
  for (const Likelihood likelihood : {Likelihood::Gaussian, Likelihood::Quantiles}) {
    ForecasterOptions options = small();
    options.season = 1;
    options.residual = Residual::None;
    options.likelihood = likelihood;
    options.levels = {0.1, 0.5, 0.9};
    options.linear_window = false;
    options.epochs = 12;
    options.lr = 1e-2;
    Forecaster forecaster(data, {300}, options);
    forecaster.train();
    std::vector<Origin> origins;
    for (int64_t row = 300; row <= 397; ++row) {
      origins.push_back({0, row});
    }
    double inside = 0;
    for (const WindowForecast& made : forecaster.forecast(origins, 3)) {
      ASSERT_EQ(made.levels.size(), 3U);
      EXPECT_EQ(made.point, made.levels[1]);
      EXPECT_LE(made.levels[0][2], made.levels[2][2]);
      inside += made.levels[2][0] - made.levels[0][0];
    }
    // 2 * 1.2816 * 4
    EXPECT_NEAR(inside / 98, 10.25, 2.5) << to_string(likelihood);
  }
}

TEST(Forecaster, RefusesWhatCannotBeLearnt) {
  const auto refused = [](const SeriesSet& data, int64_t rows, const ForecasterOptions& options,
                          const Parts& parts) {
    expect_error<ValueError>([&] { Forecaster(data, {rows}, options); }, parts);
  };
  const SeriesSet data = set_of({make_series("x", growing(40))});
  refused(data, 10, small(), {"x: got 10 rows to learn from, wanted 11", "input 8 + horizon 3"});
  refused(set_of({make_series("x", Values(40, 2.5))}), 30, small(),
          {"t.csv: x: lines 2 to 31: got 2.5 in all of the 30"});
  ForecasterOptions options = small();
  options.log = true;
  refused(set_of({make_series("x", growing(40, -8))}), 30, options,
          {"t.csv: x: line 2: got -8", "above 0"});
  options = small();
  options.likelihood = Likelihood::Quantiles;
  options.levels = {0.2, 0.8};
  refused(data, 30, options, {"levels: got 0.2, 0.8", "0.5"});
  options = small();
  options.head = ForecastHead::Shifted;
  options.chunk = 9;
  refused(data, 30, options, {"chunk: got 9", "8"});
  Forecaster forecaster(data, {30}, small());
  expect_error<ValueError>(
      [&] {
        forecaster.forecast({{0, 7}}, 1);
      },
      {"got row 7, wanted 8 to 40"});
  expect_error<ValueError>([] { residual("x"); }, {"drift_seasonal or growth"});
}

TEST(ForecastStudy, RollsOverTheTestRows) {
  const SeriesSet data = set_of({make_series("x", growing(40)), make_series("y", growing(50, 99))});
  const Study study = run_study(data, small_study());
  EXPECT_EQ(study.train_rows, (std::vector<int64_t>{33, 43}));
  ASSERT_EQ(study.windows.size(), 6U) << "three origins each";
  EXPECT_EQ(study.windows[2].origin.row, 35);
  EXPECT_EQ(study.windows[5].origin.row, 45);
  EXPECT_EQ(study.windows[5].actual.back(), data.series[1].values.back());
  ASSERT_EQ(study.future.size(), 2U);
  EXPECT_EQ(study.future[1].origin.row, 50);
  EXPECT_TRUE(study.future[1].actual.empty());
  EXPECT_EQ(study.tcn.size(), 3U);
  EXPECT_TRUE(study.trials.empty()) << "nothing was left to choose";
  // The median of the seeds, step by step.
  for (size_t h = 0; h < 5; ++h) {
    std::vector<double> at;
    for (const Values& seed : study.windows[1].of_seeds) {
      at.push_back(seed[h]);
    }
    std::sort(at.begin(), at.end());
    EXPECT_EQ(study.windows[1].forecasts.at("tcn")[h], at[1]);
  }
  ErrorSums sums;
  for (const StudyWindow& window : study.windows) {
    for (size_t h = 0; h < 5; ++h) {
      sums.add(window.actual[h], window.forecasts.at("naive")[h], 1);
    }
  }
  EXPECT_DOUBLE_EQ(study.baselines.at("naive").mape, sums.mean().mape);
  EXPECT_NEAR(study.baselines.at("linear_regression").mape, 0, 1e-2) << "this series is linear";
  EXPECT_EQ(study.baselines.size(), baseline_names().size());
}

TEST(ForecastStudy, IsTheSameSideBySide) {
  const SeriesSet data = set_of({make_series("x", growing(40))});
  StudyOptions options = small_study();
  const Study one = run_study(data, options);
  options.jobs = 3;
  const Study three = run_study(data, options);
  for (size_t i = 0; i < one.windows.size(); ++i) {
    EXPECT_EQ(one.windows[i].of_seeds, three.windows[i].of_seeds);
  }
  EXPECT_NE(one.windows[0].of_seeds[0], one.windows[0].of_seeds[1]) << "seeds differ";
}

TEST(ForecastStudy, ChoosesWithoutTheTestRows) {
  Values values = growing(60);
  SeriesSet data = set_of({make_series("x", values)});
  StudyOptions options = small_study();
  options.residual = std::nullopt;
  options.log = std::nullopt;
  options.epochs = std::nullopt;
  options.max_epochs = 4;
  options.epochs_step = 2;
  options.seeds = 2;
  options.choice_seeds = 2;
  int told = 0;
  StudyCallbacks callbacks;
  callbacks.on_trial = [&](const Trial&) { ++told; };
  const Study study = run_study(data, options, callbacks);
  EXPECT_EQ(study.trials.size(), 8U);
  EXPECT_EQ(told, 8);
  EXPECT_EQ(study.options.residual, Residual::Growth) << "it is right from the start";
  EXPECT_FALSE(*study.options.log);
  EXPECT_LT(spread_of({study.tcn[0].mape, study.tcn[1].mape}).median, 1);
  for (size_t t = 53; t < 60; ++t) {
    data.series[0].values[t] *= 7;
  }
  const Study other = run_study(data, options);
  for (size_t i = 0; i < study.trials.size(); ++i) {
    EXPECT_EQ(study.trials[i].error, other.trials[i].error);
  }
}

TEST(ForecastStudy, RefusesTooFewRows) {
  const SeriesSet data = set_of({make_series("x", growing(17))});
  StudyOptions options = small_study();
  expect_error<ValueError>([&] { run_study(data, options); },
                           {"t.csv: x: got 10 rows without the test part of 7, wanted 11"});
  options.test = 17;
  expect_error<ValueError>([&] { run_study(data, options); }, {"got 17 rows", "17 of the test"});
  options.test = 4;
  expect_error<ValueError>([&] { run_study(data, options); }, {"test: got 4", "horizon of 5"});
  options = small_study();
  StudyCallbacks callbacks;
  callbacks.should_stop = [] { return true; };
  expect_error<Error>(
      [&] { run_study(set_of({make_series("x", growing(40))}), options, callbacks); },
      {"ended by a signal"});
}

TEST(ForecastReport, SaysWhatTheStudySaid) {
  SeriesSet data = set_of({make_series("a <b>", growing(40))});
  StudyOptions options = small_study();
  options.model.likelihood = Likelihood::Quantiles;
  const Study study = run_study(data, options);
  const auto json = nlohmann::json::parse(report_json(data, study));
  const auto& mape = json.at("mape");
  EXPECT_EQ(mape.at("seasonal_naive"), study.baselines.at("seasonal_naive").mape);
  const Spread spread = spread_of({study.tcn[0].mape, study.tcn[1].mape, study.tcn[2].mape});
  EXPECT_EQ(mape.at("tcn").at("median"), spread.median);
  EXPECT_EQ(mape.at("tcn").at("min"), spread.min);
  EXPECT_EQ(mape.at("tcn").at("max"), spread.max);
  EXPECT_EQ(json.at("seeds").size(), 3U);
  EXPECT_EQ(json.at("options").at("residual"), "growth");
  EXPECT_NEAR(json.at("coverage").at("wanted"), 0.8, 1e-12);
  const std::string csv = forecast_csv(data, study);
  EXPECT_EQ(csv.substr(0, csv.find('\n')),
            "series,origin,time,step,actual,tcn,tcn_0.1,tcn_0.5,tcn_0.9,naive,seasonal_naive,"
            "drift_seasonal,linear_regression");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + (3 + 1) * 5);
  EXPECT_NE(csv.find("\na <b>,33,34,1,"), std::string::npos) << csv;
  EXPECT_NE(csv.find("\na <b>,40,45,5,,"), std::string::npos) << "behind the last row";
  const std::string page = forecast_page(data, study);
  EXPECT_EQ(page.find("a <b>"), std::string::npos) << "names are text";
  EXPECT_NE(page.find("a &lt;b&gt;"), std::string::npos);
}

}  // namespace
}  // namespace warptape::forecasting
