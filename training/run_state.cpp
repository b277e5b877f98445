#include "training/run_state.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "training/json_text.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* metadata_key = "warptape_run";
constexpr std::string_view model_prefix = "model.";
constexpr std::string_view optimizer_prefix = "optimizer.";
constexpr std::string_view average_prefix = "average.";
constexpr std::string_view best_prefix = "best.";  // weights of the best epoch
constexpr int format = 2;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const std::optional<Evaluation>& evaluation) {
  return evaluation ? Json{{"loss", evaluation->loss}, {"metric", or_null(evaluation->metric)}}
                    : Json(nullptr);
}

Json to_json(const EpochMetrics& epoch) {
  return {{"epoch", epoch.epoch},
          {"step", epoch.step},
          {"train_loss", epoch.train_loss},
          {"test", to_json(epoch.test)},
          {"validation", to_json(epoch.validation)},
          {"learning_rate", epoch.learning_rate},
          {"is_cut_short", epoch.is_cut_short}};
}

Json to_json(const TrainingPosition& position) {
  return {{"step", position.step},
          {"epoch", position.epoch},
          {"batches", position.batches},
          {"rows", position.rows},
          {"loss_sum", position.loss_sum},
          {"seconds", position.seconds},
          {"best", position.best ? to_json(*position.best) : Json(nullptr)},
          {"has_ended", position.has_ended}};
}

std::optional<Evaluation> evaluation_from(const Json& json) {
  if (json.is_null()) {
    return std::nullopt;
  }
  Evaluation evaluation{.loss = json.at("loss").get<double>()};
  if (!json.at("metric").is_null()) {
    evaluation.metric = json.at("metric").get<double>();
  }
  return evaluation;
}

EpochMetrics epoch_from(const Json& json) {
  EpochMetrics epoch;
  epoch.epoch = json.at("epoch").get<int64_t>();
  epoch.step = json.at("step").get<int64_t>();
  epoch.train_loss = json.at("train_loss").get<double>();
  epoch.test = evaluation_from(json.at("test"));
  epoch.validation = evaluation_from(json.at("validation"));
  epoch.learning_rate = json.at("learning_rate").get<double>();
  epoch.is_cut_short = json.at("is_cut_short").get<bool>();
  return epoch;
}

TrainingPosition position_from(const Json& json) {
  TrainingPosition position;
  position.step = json.at("step").get<int64_t>();
  position.epoch = json.at("epoch").get<int64_t>();
  position.batches = json.at("batches").get<int64_t>();
  position.rows = json.at("rows").get<int64_t>();
  position.has_ended = json.at("has_ended").get<bool>();
  position.loss_sum = json.at("loss_sum").get<double>();
  position.seconds = json.at("seconds").get<double>();
  if (!json.at("best").is_null()) {
    position.best = epoch_from(json.at("best"));
  }
  const bool is_one = position.step >= 0 && position.epoch >= 1 && position.batches >= 0 &&
                      position.batches <= position.step && position.rows >= position.batches &&
                      (position.epoch == 1 || position.best.has_value());
  check<ValueError>(is_one, "wanted the position of a run, got {}", json_line(json));
  return position;
}

}  // namespace

void save_run_state(const std::string& path, const RunState& state) {
  StateDict tensors;
  for (const auto& [key, tensor] : state.model) {
    tensors.emplace_back(std::string(model_prefix) + key, tensor);
  }
  for (const auto& [key, tensor] : state.optimizer) {
    tensors.emplace_back(std::string(optimizer_prefix) + key, tensor);
  }
  for (const auto& [key, tensor] : state.average) {
    tensors.emplace_back(std::string(average_prefix) + key, tensor);
  }
  for (const auto& [key, tensor] : state.position.best_weights) {
    tensors.emplace_back(std::string(best_prefix) + key, tensor);
  }
  const Json json = {{"format", format},
                     {"recipe", parse_json(to_json(state.recipe))},
                     {"position", to_json(state.position)},
                     {"generator", {{"seed", state.seed}, {"streams", state.streams}}}};
  save_safetensors(path, tensors, {{metadata_key, json_line(json)}});
}

RunState load_run_state(const std::string& path) {
  const NamedTensors file = load_safetensors(path);
  const auto fail = [&](const std::string& message) {
    throw FileError(fmt::format("[run] {}: {}", escaped(path), message));
  };
  const auto text = file.metadata.find(metadata_key);
  if (text == file.metadata.end()) {
    fail(fmt::format("metadata {}: not there, wanted the state of a run", metadata_key));
  }
  RunState state;
  try {
    const Json json = parse_json(text->second);
    check<ValueError>(json.at("format") == format, "format: got {}, wanted {}",
                      json_line(json.at("format")), format);
    state.recipe = recipe_from_json(json_line(json.at("recipe")), path);
    state.position = position_from(json.at("position"));
    state.seed = json.at("generator").at("seed").get<uint64_t>();
    state.streams = json.at("generator").at("streams").get<uint64_t>();
  } catch (const FileError&) {
    throw;
  } catch (const std::exception& error) {
    fail(fmt::format("metadata {}: {}", metadata_key, excerpt(error.what())));
  }
  for (const auto& [key, tensor] : file.tensors) {
    if (key.starts_with(model_prefix)) {
      state.model.emplace_back(key.substr(model_prefix.size()), tensor);
    } else if (key.starts_with(optimizer_prefix)) {
      state.optimizer.emplace_back(key.substr(optimizer_prefix.size()), tensor);
    } else if (key.starts_with(average_prefix)) {
      state.average.emplace_back(key.substr(average_prefix.size()), tensor);
    } else if (key.starts_with(best_prefix)) {
      state.position.best_weights.emplace_back(key.substr(best_prefix.size()), tensor);
    } else {
      fail(fmt::format("got the tensor {}, wanted those of a model and its optimizer",
                       escaped(key)));
    }
  }
  return state;
}

}  // namespace warptape
