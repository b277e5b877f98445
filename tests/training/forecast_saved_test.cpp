// What a study has learnt, in a file.

#include "training/forecast/saved.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/temporary_folder.h"
#include "tests/training/bad_files.h"
#include "training/safetensors.h"

namespace warptape::forecasting {
namespace {

// A season of 4 that grows, and a number that is known of each row, also of four more.
Series make_series(const std::string& name, int64_t rows, double level) {
  Series series;
  series.name = name;
  series.times = Times::numbered(rows);
  series.known.emplace_back();
  for (int64_t t = 0; t < rows + 4; ++t) {
    const double wave[] = {0, 3, 1, -2};
    series.known[0].push_back(std::cos(static_cast<double>(t)));
    if (t < rows) {
      series.values.push_back(level + 0.4 * static_cast<double>(t) + wave[t % 4]);
      series.lines.push_back(t + 2);
    }
  }
  return series;
}

SeriesSet two_series(int64_t rows, bool with_past = false) {
  SeriesSet set;
  set.path = "t.csv";
  set.series = {make_series("a", rows, 10), make_series("b", rows, 90)};
  set.known_names = {"k"};
  if (with_past) {
    set.past_names = {"p"};
    for (Series& series : set.series) {
      series.past = {series.values};
      std::reverse(series.past[0].begin(), series.past[0].end());
    }
  }
  return set;
}

StudyOptions small_study(ForecastHead head, Likelihood likelihood, bool log) {
  StudyOptions options;
  options.model.head = head;
  options.model.likelihood = likelihood;
  options.model.channels = {3, 4};
  options.model.weight_norm = log;
  options.horizon = 4;
  options.seeds = 2;
  options.seed = 5;
  options.season = 4;
  options.input = 8;
  options.chunk = 3;
  options.residual = Residual::Growth;
  options.log = log;
  options.epochs = 2;
  return options;
}

SavedForecasters learn(const SeriesSet& data, const StudyOptions& options, Study* study = nullptr) {
  const Study done = run_study(data, options);
  if (study != nullptr) {
    *study = done;
  }
  return saved_of(done, {.columns = {"x"}, .group = "g", .future_covariates = {"k"}});
}

TEST(ForecastSaved, ForecastsWhatTheStudyDid) {
  const TemporaryFolder folder;
  const std::string path = folder.path("m.safetensors");
  const SeriesSet data = two_series(40);
  struct Kind {
    ForecastHead head;
    Likelihood likelihood;
    bool log;
  };
  for (const Kind& kind : {Kind{ForecastHead::Direct, Likelihood::Gaussian, true},
                           Kind{ForecastHead::Direct, Likelihood::Point, false},
                           Kind{ForecastHead::Shifted, Likelihood::Quantiles, false}}) {
    Study study;
    save_forecasters(path, learn(data, small_study(kind.head, kind.likelihood, kind.log), &study));
    const SavedForecasters saved = load_forecasters(path);
    EXPECT_EQ(saved.columns.columns, std::vector<std::string>{"x"});
    EXPECT_EQ(saved.columns.group, "g");
    EXPECT_EQ(saved.columns.future_covariates, std::vector<std::string>{"k"});
    EXPECT_EQ(saved.columns.horizon, 4);
    EXPECT_EQ(saved.model.seed, 5U);
    const Study again = forecast_ahead(data, saved, 2);
    ASSERT_EQ(again.future.size(), 2U);
    for (size_t i = 0; i < 2; ++i) {
      const StudyWindow& wanted = study.future[i];
      EXPECT_EQ(again.future[i].of_seeds, wanted.of_seeds) << to_string(kind.head);
      EXPECT_EQ(again.future[i].levels, wanted.levels);
      EXPECT_EQ(again.future[i].forecasts.at("tcn"), wanted.forecasts.at("tcn"));
      EXPECT_EQ(again.future[i].forecasts.at("naive"), wanted.forecasts.at("naive"));
      EXPECT_FALSE(again.future[i].forecasts.contains("linear_regression"));
    }
  }
}

TEST(ForecastSaved, KeepsPastCovariates) {
  const TemporaryFolder folder;
  const std::string path = folder.path("m.safetensors");
  const SeriesSet data = two_series(40, true);
  StudyOptions options = small_study(ForecastHead::Direct, Likelihood::Point, false);
  expect_error<ValueError>([&] { run_study(data, options); },
                           {"chunk: got 3 with past covariates, wanted the horizon of 4"});
  options.chunk = std::nullopt;
  Study study;
  save_forecasters(path, learn(data, options, &study));
  EXPECT_EQ(study.options.chunk, 4);
  const Study again = forecast_ahead(data, load_forecasters(path));
  EXPECT_EQ(again.future[1].of_seeds, study.future[1].of_seeds);
  expect_error<ValueError>([&] { forecast_ahead(two_series(40), load_forecasters(path)); },
                           {"got 1 covariates and 0 past ones, wanted 1 and 1"});
}

TEST(ForecastSaved, ScalesSeriesByTheirNames) {
  const SavedForecasters saved =
      learn(two_series(40), small_study(ForecastHead::Direct, Likelihood::Point, false));
  // Later rows, and one of the series alone: b is scaled as it was.
  SeriesSet later = two_series(52);
  const Study both = forecast_ahead(later, saved);
  later.series.erase(later.series.begin());
  const Study alone = forecast_ahead(later, saved);
  ASSERT_EQ(alone.future.size(), 1U);
  EXPECT_EQ(alone.future[0].origin.row, 52);
  for (size_t h = 0; h < 4; ++h) {
    const double wanted = both.future[1].of_seeds[0][h];
    EXPECT_NEAR(alone.future[0].of_seeds[0][h], wanted, 1e-5 * wanted);
  }
  later.series[0].name = "c";
  expect_error<ValueError>([&] { forecast_ahead(later, saved); },
                           {"t.csv: got the series c", "2 that the models have learnt: a or b"});
  later.series[0].name = "b";
  later.series[0].known[0].resize(53);
  expect_error<ValueError>([&] { forecast_ahead(later, saved); },
                           {"b: got covariates of 1 rows behind the last value, wanted the 4"});
  later.series[0].known.clear();
  later.known_names.clear();
  expect_error<ValueError>([&] { forecast_ahead(later, saved); }, {"b: got 0 covariates", "1"});
  SeriesSet few = two_series(7);
  expect_error<ValueError>([&] { forecast_ahead(few, saved); }, {"a: got 7 rows, wanted 8"});
}

TEST(ForecastSaved, RefusesOtherFiles) {
  const TemporaryFolder folder;
  const std::string path = folder.path("m.safetensors");
  const auto refused = [&](const StateDict& tensors,
                           const std::map<std::string, std::string>& metadata, const Parts& parts) {
    save_safetensors(path, tensors, metadata);
    expect_error<FileError>([&] { load_forecasters(path); }, parts);
  };
  save_forecasters(
      path, learn(two_series(40), small_study(ForecastHead::Direct, Likelihood::Point, false)));
  const NamedTensors good = load_safetensors(path);
  const std::string json = good.metadata.at("forecast");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = json;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return changed.replace(at, from.size(), to);
  };
  refused(good.tensors, {}, {"m.safetensors", "warptape forecast --save"});
  refused(good.tensors, {{"forecast", "{"}}, {"m.safetensors"});
  refused(good.tensors, {{"forecast", with("\"input\":8", "\"input\":-8")}}, {"input", "-8"});
  refused(good.tensors, {{"forecast", with("\"input\":8", "\"inputs\":8")}}, {"input"});
  refused(good.tensors, {{"forecast", with("\"growth\"", "\"grows\"")}}, {"residual", "grows"});
  refused(good.tensors, {{"forecast", with("\"channels\":[3,4]", "\"channels\":[65000,65000]")}},
          {"tcn.network.0.conv1.weight", "65000 channels"});
  refused(good.tensors, {{"forecast", with("\"models\":2", "\"models\":3")}}, {"conv1"});
  refused(good.tensors, {{"forecast", with("\"deviation\":", "\"deviation\":-")}}, {"deviation"});
  // A tensor less: told when its model is made.
  StateDict cut = good.tensors;
  cut.pop_back();
  save_safetensors(path, cut, good.metadata);
  const SavedForecasters saved = load_forecasters(path);
  expect_error<ValueError>([&] { forecast_ahead(two_series(40), saved); }, {"missing"});
}

}  // namespace
}  // namespace warptape::forecasting
