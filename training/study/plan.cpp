#include "training/study/plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "training/json_text.h"
#include "training/tasks.h"

namespace warptape::weight_norm_study {
namespace {

using StudyJson = nlohmann::ordered_json;

template <class T>
void check_distinct(const char* what, std::vector<T> values) {
  check<ValueError>(!values.empty(), "[study] {}: got none, wanted one or more", what);
  std::sort(values.begin(), values.end());
  check<ValueError>(std::adjacent_find(values.begin(), values.end()) == values.end(),
                    "[study] {}: got one of them twice", what);
}

std::vector<std::string> made_tasks() {
  std::vector<std::string> names;
  for (const Task& task : tasks().all()) {
    if (!task.is_of_images && !task.reads_data) {
      names.push_back(task.name);
    }
  }
  return names;
}

}  // namespace

const std::vector<Method>& all_methods() {
  static const std::vector<Method> all = {Method::Plain,          Method::WeightNorm,
                                          Method::WeightNormInit, Method::WeightNormMeanOnly,
                                          Method::BatchNorm,      Method::UnitRows};
  return all;
}

const char* to_string(Method method) {
  switch (method) {
    case Method::WeightNorm:
      return "weight_norm";
    case Method::WeightNormInit:
      return "weight_norm_init";
    case Method::WeightNormMeanOnly:
      return "weight_norm_mean_only";
    case Method::BatchNorm:
      return "batch_norm";
    case Method::UnitRows:
      return "unit_rows";
    case Method::Plain:
      break;
  }
  return "plain";
}

Method method_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Method method : all_methods()) {
    if (name == to_string(method)) {
      return method;
    }
    names.emplace_back(to_string(method));
  }
  throw ValueError(fmt::format("[study] method: got \"{}\", wanted one of {}", excerpt(name),
                               fmt::join(names, ", ")));
}

void check_plan(const StudyPlan& plan) {
  std::vector<std::string> subjects;
  for (const Recipe& recipe : plan.recipes) {
    subjects.push_back(subject_of(recipe));
    const bool is_plain = !recipe.max_steps && !recipe.patience && !recipe.clip_norm &&
                          !recipe.ema_decay && !recipe.init && recipe.validation == 0 &&
                          recipe.schedule.name == "constant" && recipe.precision == "float32";
    check<ValueError>(is_plain,
                      "[study] {}: got a recipe with max_steps, patience, clip_norm, ema_decay, "
                      "init, validation, schedule or precision, wanted one without",
                      subjects.back());
  }
  check_distinct("models", subjects);
  check_distinct("methods", plan.methods);
  check<ValueError>(plan.methods.front() == Method::Plain,
                    "[study] methods: got {} first, wanted plain, which others are compared with",
                    to_string(plan.methods.front()));
  std::vector<std::string> names;
  for (const OptimizerGrid& grid : plan.optimizers) {
    names.push_back(grid.name);
    check<ValueError>(grid.name == "sgd" || grid.name == "adam",
                      "[study] optimizer: got \"{}\", wanted sgd or adam", excerpt(grid.name));
    check_distinct("learning rates", grid.learning_rates);
    for (const double rate : grid.learning_rates) {
      check<ValueError>(rate > 0 && std::isfinite(rate),
                        "[study] learning rate: got {}, wanted a number above 0", rate);
    }
  }
  check_distinct("optimizers", names);
  check<ValueError>(plan.seeds >= 1, "[study] seeds: got {}, wanted 1 or more", plan.seeds);
}

std::vector<Cell> cells_of(const StudyPlan& plan) {
  std::vector<Cell> cells;
  for (size_t recipe = 0; recipe < plan.recipes.size(); ++recipe) {
    for (const Method method : plan.methods) {
      for (const OptimizerGrid& grid : plan.optimizers) {
        for (const double rate : grid.learning_rates) {
          for (int64_t seed = 0; seed < plan.seeds; ++seed) {
            cells.push_back({recipe, method, grid.name, rate, seed});
          }
        }
      }
    }
  }
  return cells;
}

std::string subject_of(const Recipe& recipe) {
  return recipe.model.name + "-" + recipe.task.name;
}

std::string name_of(const StudyPlan& plan, const Cell& cell) {
  return fmt::format("{} {} {} {} seed {}", subject_of(plan.recipes.at(cell.recipe)),
                     to_string(cell.method), cell.optimizer, cell.learning_rate, cell.seed);
}

Recipe image_recipe(const std::string& data) {
  Recipe recipe;
  recipe.data = data;
  recipe.image_size = 8;
  recipe.epochs = 10;
  recipe.threads = 1;
  return recipe;
}

Recipe sequence_recipe(const std::string& task) {
  const std::vector<std::string> names = made_tasks();
  check<ValueError>(std::find(names.begin(), names.end(), task) != names.end(),
                    "[study] task: got \"{}\", wanted one of {}", excerpt(task),
                    fmt::join(names, ", "));
  Recipe recipe;
  recipe.model = {"tcn",
                  {{"channels", std::vector<int64_t>(4, 16)},
                   {"kernel_size", std::vector<int64_t>{3}},
                   {"dropout", 0.0}}};
  recipe.task = {task};
  for (const Option& option : tasks().find(task).options) {
    if (option.name == "length") {
      recipe.task.options["length"] = int64_t{50};
    } else if (option.name == "train_sequences") {
      recipe.task.options["train_sequences"] = int64_t{2000};
    } else if (option.name == "test_sequences") {
      recipe.task.options["test_sequences"] = int64_t{500};
    }
  }
  recipe.epochs = 10;
  recipe.threads = 1;
  return recipe;
}

std::string to_json(const StudyPlan& plan) {
  StudyJson json;
  for (const Recipe& recipe : plan.recipes) {
    json["recipes"].push_back(parse_json(warptape::to_json(recipe)));
  }
  for (const Method method : plan.methods) {
    json["methods"].push_back(to_string(method));
  }
  for (const OptimizerGrid& grid : plan.optimizers) {
    json["optimizers"].push_back({{"name", grid.name}, {"learning_rates", grid.learning_rates}});
  }
  json["momentum"] = plan.momentum;
  json["seeds"] = plan.seeds;
  return json_document(json);
}

StudyPlan plan_from_json(const std::string& text, const std::string& path) {
  try {
    const StudyJson json = parse_json(text);
    StudyPlan plan;
    for (const StudyJson& recipe : json.at("recipes")) {
      plan.recipes.push_back(recipe_from_json(json_line(recipe), path));
    }
    plan.methods.clear();
    for (const StudyJson& name : json.at("methods")) {
      plan.methods.push_back(method_named(name.get<std::string>()));
    }
    plan.optimizers.clear();
    for (const StudyJson& grid : json.at("optimizers")) {
      plan.optimizers.push_back({grid.at("name").get<std::string>(),
                                 grid.at("learning_rates").get<std::vector<double>>()});
    }
    plan.momentum = json.at("momentum").get<double>();
    plan.seeds = json.at("seeds").get<int64_t>();
    check_plan(plan);
    return plan;
  } catch (const nlohmann::json::exception& error) {
    throw FileError(fmt::format("[study] {}: got no plan of a study: {}", escaped(path),
                                excerpt(error.what())));
  } catch (const ValueError& error) {
    throw FileError(fmt::format("[study] {}: {}", escaped(path), error.what()));
  }
}

}  // namespace warptape::weight_norm_study
