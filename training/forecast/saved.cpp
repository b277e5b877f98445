#include "training/forecast/saved.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/registry.h"
#include "models/image_models.h"
#include "training/forecast/choice.h"
#include "training/forecast/seeds.h"
#include "training/forecast/study_baselines.h"
#include "training/json_text.h"
#include "training/safetensors.h"
#include "training/side_by_side.h"

namespace warptape::forecasting {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* metadata_key = "forecast";
constexpr int64_t most_rows = 1 << 20;
constexpr int64_t most_channels = 1 << 16;

std::string prefix_of(size_t seed) {
  return "models." + std::to_string(seed) + ".";
}

// Reads and writes the same fields: `field` is called with each key and the member of that name.
template <class Options, class Field>
void visit_model(Options& o, const Field& field) {
  field("input", o.input);
  field("chunk", o.chunk);
  field("season", o.season);
  field("log", o.log);
  field("levels", o.levels);
  field("channels", o.channels);
  field("kernel_size", o.kernel_size);
  field("dilation_base", o.dilation_base);
  field("dropout", o.dropout);
  field("weight_norm", o.weight_norm);
  field("linear_window", o.linear_window);
  field("epochs", o.epochs);
  field("batch_size", o.batch_size);
  field("lr", o.lr);
  field("weight_decay", o.weight_decay);
  field("seed", o.seed);
}

template <class Options, class Field>
void visit_columns(Options& o, const Field& field) {
  field("columns", o.columns);
  field("time", o.time);
  field("group", o.group);
  field("covariates", o.calendar);
  field("future_covariates", o.future_covariates);
  field("past_covariates", o.past_covariates);
  field("horizon", o.horizon);
}

template <class Scale, class Field>
void visit_scale(Scale& o, const Field& field) {
  field("log", o.log);
  field("mean", o.mean);
  field("deviation", o.deviation);
}

auto writer(Json& json) {
  return [&json](const char* key, const auto& value) { json[key] = value; };
}
auto reader(const Json& json) {
  return [&json](const char* key, auto& value) { json.at(key).get_to(value); };
}

Json to_json(const SeriesScale& scale) {
  Json json;
  visit_scale(scale, writer(json));
  return json;
}

SeriesScale scale_from(const Json& json) {
  SeriesScale scale;
  visit_scale(scale, reader(json));
  check<ValueError>(
      std::isfinite(scale.mean) && std::isfinite(scale.deviation) && scale.deviation > 0,
      "mean and deviation: got {} and {}, wanted finite ones, the deviation above 0", scale.mean,
      scale.deviation);
  return scale;
}

Json to_json(const SavedForecasters& saved) {
  Json json{{"models", saved.models.size()},
            {"head", to_string(saved.model.head)},
            {"likelihood", to_string(saved.model.likelihood)},
            {"residual", to_string(saved.model.residual)}};
  visit_model(saved.model, writer(json));
  visit_columns(saved.columns, writer(json));
  json["series"] = Json::array();
  for (const SeriesScales& scales : saved.scales) {
    Json one{{"name", scales.name},
             {"values", to_json(scales.values)},
             {"known", Json::array()},
             {"past", Json::array()}};
    for (const SeriesScale& known : scales.known) {
      one["known"].push_back(to_json(known));
    }
    for (const SeriesScale& past : scales.past) {
      one["past"].push_back(to_json(past));
    }
    json["series"].push_back(std::move(one));
  }
  return json;
}

void check_range(const char* name, int64_t value, int64_t most) {
  check<ValueError>(value >= 1 && value <= most, "{}: got {}, wanted 1 to {}", name, value, most);
}

SavedForecasters from_json(const Json& json, size_t& models) {
  SavedForecasters saved;
  json.at("models").get_to(models);
  saved.model.head = forecast_head(json.at("head").get<std::string>());
  saved.model.likelihood = likelihood(json.at("likelihood").get<std::string>());
  saved.model.residual = residual(json.at("residual").get<std::string>());
  visit_model(saved.model, reader(json));
  visit_columns(saved.columns, reader(json));
  saved.model = checked(saved.model);
  check_range("input", saved.model.input, most_rows);
  check_range("chunk", saved.model.chunk, most_rows);
  check_range("season", saved.model.season, most_rows);
  check_range("kernel_size", saved.model.kernel_size, most_channels);
  check_range("dilation_base", saved.model.dilation_base, 64);
  check_range("horizon", saved.columns.horizon, most_rows);
  check_range("models", static_cast<int64_t>(models), 10000);
  check_range("columns", static_cast<int64_t>(saved.columns.columns.size()), most_rows);
  check<ValueError>(saved.model.dropout >= 0 && saved.model.dropout < 1,
                    "dropout: got {}, wanted 0 to below 1", saved.model.dropout);
  for (const Json& one : json.at("series")) {
    SeriesScales scales{.name = one.at("name"), .values = scale_from(one.at("values"))};
    for (const Json& known : one.at("known")) {
      scales.known.push_back(scale_from(known));
    }
    for (const Json& past : one.at("past")) {
      scales.past.push_back(scale_from(past));
    }
    saved.scales.push_back(std::move(scales));
  }
  return saved;
}

// Before a model is made of the metadata: they must not ask for more than the file has.
void check_blocks(const SavedForecasters& saved, const StateDict& model) {
  const ForecasterOptions& options = saved.model;
  for (size_t i = 0; i < options.channels.size(); ++i) {
    const std::string layer = "tcn.network." + std::to_string(i) + ".conv1";
    const Tensor* weight = find_weight(model, layer, 3);
    // A shifted head's last block has the first one's channels between its convolutions.
    const bool is_head = options.head == ForecastHead::Shifted && i + 1 == options.channels.size();
    const int64_t channels = options.channels[is_head ? 0 : i];
    check<ValueError>(weight != nullptr && weight->size(2) == options.kernel_size &&
                          (options.head == ForecastHead::Shifted || weight->size(0) == channels),
                      "{}.weight: wanted a tensor of {} channels and kernel size {}", layer,
                      channels, options.kernel_size);
  }
  check<ValueError>(!options.channels.empty(), "channels: got none, wanted one for each block");
}

// The scales of the data's series, by their names.
std::vector<SeriesScales> scales_for(const SeriesSet& data, const SavedForecasters& saved) {
  std::vector<SeriesScales> scales;
  for (const Series& series : data.series) {
    const auto found =
        std::find_if(saved.scales.begin(), saved.scales.end(),
                     [&](const SeriesScales& one) { return one.name == series.name; });
    std::vector<std::string> names;
    for (size_t i = 0; i < std::min<size_t>(saved.scales.size(), 8); ++i) {
      names.push_back(excerpt(saved.scales[i].name));
    }
    check<ValueError>(found != saved.scales.end(),
                      "[forecast] {}: got the series {}, wanted one of the {} that the models have "
                      "learnt: {}{}",
                      escaped(data.path), excerpt(series.name), saved.scales.size(),
                      joined_by_or(names), saved.scales.size() > names.size() ? ", ..." : "");
    scales.push_back(*found);
  }
  return scales;
}

void check_rows(const SeriesSet& data, const SavedForecasters& saved) {
  for (const Series& series : data.series) {
    const std::string name = escaped(data.path) + ": " + excerpt(series.name);
    const int64_t least = first_origin(saved.model);
    check<ValueError>(series.rows() >= least, "[forecast] {}: got {} rows, wanted {} at least",
                      name, series.rows(), least);
    check<ValueError>(series.known.empty() || series.known_ahead() >= saved.columns.horizon,
                      "[forecast] {}: got covariates of {} rows behind the last value, wanted the "
                      "{} that are to be forecast",
                      name, series.known_ahead(), saved.columns.horizon);
  }
}

}  // namespace

SavedForecasters saved_of(const Study& study, const SeriesOptions& columns) {
  SavedForecasters saved{
      .columns = columns, .scales = study.scales, .model = study.options.model, .models = {}};
  saved.columns.horizon = study.options.horizon;
  saved.model.seed = study.options.seed;
  saved.models = study.models;
  return saved;
}

void save_forecasters(const std::string& path, const SavedForecasters& saved) {
  StateDict tensors;
  for (size_t seed = 0; seed < saved.models.size(); ++seed) {
    for (const auto& [key, value] : saved.models[seed]) {
      tensors.emplace_back(prefix_of(seed) + key, value);
    }
  }
  save_safetensors(path, tensors, {{metadata_key, json_line(to_json(saved))}});
}

SavedForecasters load_forecasters(const std::string& path) {
  const NamedTensors file = load_safetensors(path);
  const auto text = file.metadata.find(metadata_key);
  check<FileError>(text != file.metadata.end(),
                   "[forecast] {}: got {} tensors without a forecast's options, wanted a file of "
                   "warptape forecast --save",
                   escaped(path), file.tensors.size());
  SavedForecasters saved;
  try {
    size_t models = 0;
    saved = from_json(parse_json(text->second), models);
    saved.models.resize(models);
    for (size_t seed = 0; seed < models; ++seed) {
      const std::string prefix = prefix_of(seed);
      for (const auto& [key, value] : file.tensors) {
        if (key.starts_with(prefix)) {
          saved.models[seed].emplace_back(key.substr(prefix.size()), value);
        }
      }
      check_blocks(saved, saved.models[seed]);
    }
  } catch (const std::exception& error) {
    throw FileError(fmt::format("[forecast] {}: wanted a file of warptape forecast --save: {}",
                                escaped(path), excerpt(error.what())));
  }
  return saved;
}

Study forecast_ahead(const SeriesSet& data, const SavedForecasters& saved, int64_t jobs) {
  const std::vector<SeriesScales> scales = scales_for(data, saved);
  check_rows(data, saved);
  Study study;
  study.options.model = saved.model;
  study.options.horizon = saved.columns.horizon;
  study.options.season = saved.model.season;
  study.options.input = saved.model.input;
  study.options.seeds = static_cast<int64_t>(saved.models.size());
  study.options.seed = saved.model.seed;
  std::vector<Origin> origins;
  for (size_t i = 0; i < data.series.size(); ++i) {
    origins.push_back({i, data.series[i].rows()});
    StudyWindow window{.origin = origins.back()};
    add_baselines(data, saved.columns.horizon, saved.model.season, nullptr, window);
    study.future.push_back(std::move(window));
  }
  OfSeeds of_seeds(saved.models.size());
  run_side_by_side(study.options.seeds, jobs, saved.model.device, [&](int64_t seed) {
    const auto at = static_cast<size_t>(seed);
    Forecaster forecaster(data, scales, saved.models[at], saved.model);
    of_seeds[at] = forecaster.forecast(origins, saved.columns.horizon);
  });
  add_tcn(study.future, of_seeds);
  return study;
}

}  // namespace warptape::forecasting
