#include "training/forecast/report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "core/error.h"
#include "training/json_text.h"

namespace warptape::forecasting {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json spread_json(const std::vector<double>& values) {
  const Spread spread = spread_of(values);
  return {
      {"median", number(spread.median)}, {"min", number(spread.min)}, {"max", number(spread.max)}};
}

struct ErrorName {
  const char* name;
  double Errors::*value;
};
constexpr ErrorName error_names[] = {{"mape", &Errors::mape},
                                     {"smape", &Errors::smape},
                                     {"mae", &Errors::mae},
                                     {"rmse", &Errors::rmse},
                                     {"mase", &Errors::mase}};

Json options_json(const StudyOptions& options) {
  const ForecasterOptions& model = options.model;
  Json json{{"horizon", options.horizon},
            {"test", *options.test},
            {"stride", options.stride},
            {"season", *options.season},
            {"input", *options.input},
            {"chunk", *options.chunk},
            {"seeds", options.seeds},
            {"first_seed", options.seed},
            {"head", to_string(model.head)},
            {"likelihood", to_string(model.likelihood)},
            {"residual", to_string(model.residual)},
            {"log", model.log},
            {"epochs", model.epochs},
            {"channels", model.channels},
            {"kernel_size", model.kernel_size},
            {"dilation_base", model.dilation_base},
            {"dropout", model.dropout},
            {"weight_norm", model.weight_norm},
            {"linear_window", model.linear_window},
            {"batch_size", model.batch_size},
            {"lr", model.lr},
            {"weight_decay", model.weight_decay}};
  if (model.likelihood != Likelihood::Point) {
    json["levels"] = model.levels;
  }
  return json;
}

// A field of a CSV without quotes: names came out of one.
std::string csv_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.10g}", value) : "";
}

// Those that the study's windows have.
std::vector<std::string> baselines_of(const Study& study) {
  const StudyWindow& window = study.windows.empty() ? study.future.at(0) : study.windows[0];
  std::vector<std::string> names;
  for (const std::string& name : baseline_names()) {
    if (window.forecasts.contains(name)) {
      names.push_back(name);
    }
  }
  return names;
}

void add_rows(std::string& text, const SeriesSet& data, const Study& study,
              const StudyWindow& window) {
  const Series& series = data.series[window.origin.series];
  for (int64_t h = 0; h < study.options.horizon; ++h) {
    const auto at = static_cast<size_t>(h);
    text += fmt::format("{},{},{},{},", series.name, series.times.text(window.origin.row - 1),
                        series.times.text(window.origin.row + h), h + 1);
    text += at < window.actual.size() ? csv_number(window.actual[at]) : "";
    text += "," + csv_number(window.forecasts.at("tcn")[at]);
    for (const Values& level : window.levels) {
      text += "," + csv_number(level[at]);
    }
    for (const std::string& name : baselines_of(study)) {
      text += "," + csv_number(window.forecasts.at(name)[at]);
    }
    text += "\n";
  }
}

}  // namespace

std::string report_json(const SeriesSet& data, const Study& study) {
  Json json;
  for (const ErrorName& error : error_names) {
    std::vector<double> of_seeds;
    for (const Errors& seed : study.tcn) {
      of_seeds.push_back(seed.*error.value);
    }
    Json& entry = json[error.name];
    entry["tcn"] = spread_json(of_seeds);
    for (const std::string& name : baseline_names()) {
      entry[name] = number(study.baselines.at(name).*error.value);
    }
  }
  if (!study.coverage.empty()) {
    const std::vector<double>& levels = study.options.model.levels;
    json["coverage"] = {{"wanted", levels.back() - levels.front()},
                        {"tcn", spread_json(study.coverage)}};
    json["pinball"] = {{"tcn", spread_json(study.pinball)}};
  }
  json["data"] = escaped(data.path);
  json["options"] = options_json(study.options);
  json["known"] = data.known_names;
  if (!data.past_names.empty()) {
    json["past"] = data.past_names;
  }
  for (size_t i = 0; i < data.series.size(); ++i) {
    const Series& series = data.series[i];
    const int64_t train = study.train_rows[i];
    json["series"].push_back({{"name", series.name},
                              {"rows", series.rows()},
                              {"train_rows", train},
                              {"first", series.times.text(0)},
                              {"test_begins", series.times.text(train)},
                              {"last", series.times.text(series.rows() - 1)}});
  }
  json["windows"] = {{"train", study.training_windows},
                     {"test", study.windows.size()},
                     {"ahead", study.future.size()}};
  json["model"] = {{"parameters", study.parameters}, {"receptive_field", study.receptive_field}};
  json["trials"] = Json::array();
  for (const Trial& trial : study.trials) {
    json["trials"].push_back({{"residual", to_string(trial.residual)},
                              {"log", trial.log},
                              {"epochs", trial.epochs},
                              {"validation_error", number(trial.error)}});
  }
  for (size_t seed = 0; seed < study.tcn.size(); ++seed) {
    Json entry{{"seed", study.options.seed + seed}};
    for (const ErrorName& error : error_names) {
      entry[error.name] = number(study.tcn[seed].*error.value);
    }
    entry["seconds"] = study.seconds[seed];
    json["seeds"].push_back(std::move(entry));
  }
  json["warnings"] = data.warnings;
  return json_document(json);
}

std::string forecast_csv(const SeriesSet& data, const Study& study) {
  std::string text = "series,origin,time,step,actual,tcn";
  const ForecasterOptions& model = study.options.model;
  if (model.likelihood != Likelihood::Point) {
    for (const double level : model.levels) {
      text += fmt::format(",tcn_{}", level);
    }
  }
  for (const std::string& name : baselines_of(study)) {
    text += "," + name;
  }
  text += "\n";
  for (const StudyWindow& window : study.windows) {
    add_rows(text, data, study, window);
  }
  for (const StudyWindow& window : study.future) {
    add_rows(text, data, study, window);
  }
  return text;
}

}  // namespace warptape::forecasting
