#pragma once
// What a study of weight norm compares: every method, under every optimizer and learning rate, over
// the same seeds. A cell is one run of it.

#include <cstdint>
#include <string>
#include <vector>

#include "training/recipe.h"

namespace warptape::weight_norm_study {

// What is done with the layers that the model normalises by default; all begin with the weights
// that the seed gives.
//   Plain: nothing
//   WeightNorm: w = g * v / ||v|| (layers/weight_norm.h)
//   WeightNormInit: the same, with the g and the biases that the first batch gives
//     (layers/data_dependent_init.h)
//   WeightNormMeanOnly: the same as WeightNorm, and a mean-only batch norm behind each layer
//     (layers/mean_only_batch_norm.h)
//   BatchNorm: plain, and a batch norm behind each layer
//   UnitRows: plain, and the optimizer keeps every row at norm 1 (Optimizer::project)
enum class Method { Plain, WeightNorm, WeightNormInit, WeightNormMeanOnly, BatchNorm, UnitRows };

const std::vector<Method>& all_methods();
const char* to_string(Method method);          // "weight_norm"
Method method_named(const std::string& name);  // ValueError lists the names

struct OptimizerGrid {
  std::string name;  // "sgd" or "adam"
  std::vector<double> learning_rates;
};

struct StudyPlan {
  // A run of each model: its task, data, epochs, batch size, device and threads. Optimizer, seed
  // and weight norm are the cells' own; rates are constant, and nothing ends a run early.
  std::vector<Recipe> recipes;
  std::vector<Method> methods = all_methods();  // Plain, which the others are compared with, first
  std::vector<OptimizerGrid> optimizers = {{"sgd", {0.01, 0.1, 1}},
                                           {"adam", {0.0003, 0.003, 0.03}}};
  double momentum = 0.9;  // of SGD
  int64_t seeds = 5;      // 0, 1, ...
};

struct Cell {
  size_t recipe = 0;  // its place in the plan
  Method method = Method::Plain;
  std::string optimizer;
  double learning_rate = 0;
  int64_t seed = 0;

  bool operator==(const Cell&) const = default;
};

// ValueError for a plan without recipes, methods, optimizers, rates or seeds, with one of them
// twice, without Plain in front, with an optimizer or a rate that cannot be, or with a recipe that
// asks for more than a study does.
void check_plan(const StudyPlan& plan);

// In the order of recipes, methods, optimizers, rates and seeds.
std::vector<Cell> cells_of(const StudyPlan& plan);

std::string subject_of(const Recipe& recipe);                  // "simple_cnn-images", "tcn-adding"
std::string name_of(const StudyPlan& plan, const Cell& cell);  // "tcn-adding plain sgd 0.1 seed 3"

// Small models that learn in minutes: SimpleCNN of 8 x 8 images from a folder, and a TCN of the
// adding problem, or of another task that makes its own data.
Recipe image_recipe(const std::string& data);
Recipe sequence_recipe(const std::string& task = "adding");  // ValueError lists the tasks

// As JSON; FileError with the path for what is no plan.
std::string to_json(const StudyPlan& plan);
StudyPlan plan_from_json(const std::string& text, const std::string& path);

}  // namespace warptape::weight_norm_study
