// Studies of weight norm: plans, runs, what their files hold, and what is made of them.

#include "training/study/study.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/parallel.h"
#include "core/random.h"
#include "kernels/mean/mean.h"
#include "kernels/pointwise/pointwise.h"
#include "models/simple_cnn.h"
#include "models/tcn.h"
#include "tests/core/expect_throws.h"
#include "tests/temporary_folder.h"
#include "training/study/analysis.h"
#include "training/study/method.h"
#include "training/study/page.h"
#include "training/train_step.h"

namespace warptape::weight_norm_study {
namespace {

// A run of it takes milliseconds.
Recipe tiny_recipe() {
  Recipe recipe = sequence_recipe();
  recipe.model.options["channels"] = std::vector<int64_t>{4, 3};
  recipe.task.options["length"] = int64_t{6};
  recipe.task.options["train_sequences"] = int64_t{24};
  recipe.task.options["test_sequences"] = int64_t{16};
  recipe.batch_size = 8;
  recipe.epochs = 2;
  return recipe;
}

StudyPlan tiny_plan() {
  StudyPlan plan;
  plan.recipes = {tiny_recipe()};
  plan.optimizers = {{"sgd", {0.01, 0.1}}, {"adam", {0.01}}};
  plan.seeds = 2;
  return plan;
}

// Without what depends on the clock.
std::string rows_without_seconds(const Results& results) {
  Results copy = results;
  for (size_t cell = 0; cell < results.cells().size(); ++cell) {
    std::vector<EpochRow> rows = results.rows(cell);
    for (EpochRow& row : rows) {
      row.seconds_per_step = 0;
    }
    copy.add(cell, rows);
  }
  return copy.csv();
}

std::unique_ptr<Module> small_cnn() {
  manual_seed(5);
  return std::make_unique<SimpleCNN>(
      SimpleCNN::Options{.input_channels = 1, .image_size = 8, .dtype = float64});
}

TEST(StudyPlan, IsTheSameBehindItsJson) {
  StudyPlan plan = tiny_plan();
  plan.recipes.push_back(image_recipe("data/digits"));
  plan.methods = {Method::Plain, Method::UnitRows};
  plan.momentum = 0.5;
  const StudyPlan read = plan_from_json(to_json(plan), "plan.json");
  EXPECT_EQ(to_json(read), to_json(plan));
  EXPECT_EQ(cells_of(read), cells_of(plan));
  EXPECT_EQ(cells_of(plan).size(), 2U * 2U * 3U * 2U);
  std::set<std::string> names;
  for (const Cell& cell : cells_of(plan)) {
    names.insert(name_of(plan, cell));
  }
  EXPECT_EQ(names.size(), cells_of(plan).size());
  EXPECT_EQ(*names.begin(), "simple_cnn-images plain adam 0.01 seed 0");
}

TEST(StudyPlan, SaysWhatCannotBe) {
  const auto refused = [](const std::function<void(StudyPlan&)>& change, const char* message) {
    StudyPlan plan = tiny_plan();
    change(plan);
    expect_throws<ValueError>([&] { check_plan(plan); }, {message});
  };
  refused([](StudyPlan& plan) { plan.recipes.clear(); }, "models: got none");
  refused([](StudyPlan& plan) { plan.recipes.push_back(plan.recipes[0]); }, "models: got one of");
  refused([](StudyPlan& plan) { plan.methods = {Method::WeightNorm}; },
          "methods: got weight_norm first, wanted plain");
  refused([](StudyPlan& plan) { plan.optimizers[0].name = "rmsprop"; }, "got \"rmsprop\"");
  refused([](StudyPlan& plan) { plan.optimizers[0].learning_rates = {}; }, "rates: got none");
  refused([](StudyPlan& plan) { plan.optimizers[0].learning_rates = {0.1, 0.1}; }, "twice");
  refused([](StudyPlan& plan) { plan.optimizers[0].learning_rates = {0}; }, "got 0, wanted");
  refused([](StudyPlan& plan) { plan.seeds = 0; }, "seeds: got 0");
  refused([](StudyPlan& plan) { plan.recipes[0].max_steps = 3; }, "max_steps");
  expect_throws<ValueError>([] { method_named("layer_norm"); },
                            {"got \"layer_norm\", wanted one of plain, weight_norm"});
  expect_throws<ValueError>([] { sequence_recipe("images"); }, {"wanted one of adding"});
  expect_throws<FileError>([] { plan_from_json("{}", "p.json"); }, {"p.json", "recipes"});
  expect_throws<FileError>([] { plan_from_json("nothing", "p.json"); }, {"p.json"});
}

TEST(StudyMethod, AllBeginWithTheSameFunctionButForNormsAndUnitRows) {
  const Tensor x = randn({3, 1, 8, 8}, float64);
  StudiedModel plain(small_cnn(), Method::Plain);
  StudiedModel normed(small_cnn(), Method::WeightNorm);
  EXPECT_EQ(count_parameters(normed.module()), count_parameters(plain.module()) + 64 + 128);
  const std::vector<double> wanted = plain.module()(x).to_vector<double>();
  const std::vector<double> got = normed.module()(x).to_vector<double>();
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_NEAR(got[i], wanted[i], 1e-12);
  }
  EXPECT_EQ(normed.row_norms(), plain.row_norms()) << "v begins as w";
  EXPECT_EQ(plain.row_norms().size(), 64U + 128U);
}

TEST(StudyMethod, WeightNormMayBeginByABatch) {
  const Tensor x = randn({16, 1, 8, 8}, float64);
  StudiedModel normed(small_cnn(), Method::WeightNorm);
  StudiedModel begun(small_cnn(), Method::WeightNormInit);
  begun.begin_with(x);
  EXPECT_EQ(begun.row_norms(), normed.row_norms()) << "v is the seed's";
  // The first layer gives each channel mean 0 and variance 1.
  auto& conv = dynamic_cast<SimpleCNN&>(begun.module()).conv1;
  const Tensor y = conv(x);
  const Tensor means = mean(y, {0, 2, 3}, true);
  for (const double value : mean((y - means) * (y - means), {0, 2, 3}).to_vector<double>()) {
    EXPECT_NEAR(value, 1, 1e-9);
  }
}

TEST(StudyMethod, AMeanOnlyNormStandsBehindWeightNorm) {
  manual_seed(5);
  TCN::Options options;
  options.net.channels = {4, 4};
  StudiedModel model(std::make_unique<TCN>(options), Method::WeightNormMeanOnly);
  int64_t norms = 0;
  int64_t weights = 0;
  for (const auto& [name, tensor] : state_dict(model.module())) {
    norms += name.ends_with("running_mean") ? 1 : 0;
    weights += name.ends_with("weight_v") ? 1 : 0;
    EXPECT_FALSE(name.ends_with("running_var")) << name;
  }
  EXPECT_EQ(norms, 4) << "two convolutions of two blocks";
  EXPECT_EQ(weights, 4);
}

TEST(StudyMethod, UnitRowsStayAtNormOneAndBiasesDoNot) {
  StudiedModel model(small_cnn(), Method::UnitRows);
  for (const char* name : {"sgd", "adam"}) {
    const std::unique_ptr<Optimizer> optimizer = model.make_optimizer(name, 0.1, 0.9);
    for (const double norm : model.row_norms()) {
      EXPECT_NEAR(norm, 1, 1e-12);
    }
    train_step(model.module(), *optimizer, parameters(model.module()),
               {randn({4, 1, 8, 8}, float64), tensor<int64_t>({0, 1, 2, 3}, {4})},
               cross_entropy_loss());
    for (const double norm : model.row_norms()) {
      EXPECT_NEAR(norm, 1, 1e-12);
    }
  }
}

TEST(StudyMethod, BatchNormStandsBehindEachNormedLayer) {
  manual_seed(5);
  TCN::Options options;
  options.net.channels = {4, 4};
  options.net.block.dropout = 0;
  StudiedModel model(std::make_unique<TCN>(options), Method::BatchNorm);
  std::vector<std::string> norms;
  for (const auto& [name, tensor] : state_dict(model.module())) {
    if (name.ends_with("running_mean")) {
      norms.push_back(name);
      EXPECT_EQ(tensor.shape(), Shape({4}));
    }
    EXPECT_EQ(name.find("weight_v"), std::string::npos) << name;
  }
  EXPECT_EQ(norms.size(), 4U) << "two convolutions of two blocks";
  // What a layer gives is normalised in training: its scale does not matter.
  const Tensor x = randn({3, 1, 10});
  const auto change_of_a_scaled_layer = [&](Module& module) {
    const std::vector<float> before = module(x).to_vector<float>();
    for (const NamedParameter& each : named_parameters(module)) {
      if (each.name.ends_with("network.0.conv1.weight")) {
        each.parameter->assign(mul(each.parameter->value().detach(), 8));
      }
    }
    const std::vector<float> after = module(x).to_vector<float>();
    double most = 0;
    for (size_t i = 0; i < before.size(); ++i) {
      most = std::max(most, std::abs(static_cast<double>(after[i]) - before[i]));
    }
    return most;
  };
  EXPECT_LT(change_of_a_scaled_layer(model.module()), 3e-4);
  StudiedModel plain(std::make_unique<TCN>(options), Method::Plain);
  EXPECT_GT(change_of_a_scaled_layer(plain.module()), 3e-3);
}

TEST(StudyMethod, WantsALayerWithWeightNorm) {
  expect_throws<ValueError>(
      [] {
        StudiedModel(std::make_unique<Linear>(Linear::Options{2, 2}), Method::Plain);
      },
      {"[study] Linear: got no weight-normalised layer"});
}

TEST(StudyCell, RowsHoldWhatARunShows) {
  const StudyPlan plan = tiny_plan();
  for (const Cell& cell : cells_of(plan)) {
    const auto rows = run_cell(plan, cell);
    ASSERT_TRUE(rows);
    ASSERT_EQ(rows->size(), 3U);
    EXPECT_TRUE(is_complete(plan, cell, *rows));
    EXPECT_FALSE(is_complete(plan, cell, {(*rows)[0], (*rows)[1]}));
    EXPECT_TRUE(std::isnan(rows->front().train_loss));
    for (size_t epoch = 0; epoch < 3; ++epoch) {
      const EpochRow& row = (*rows)[epoch];
      EXPECT_EQ(row.epoch, static_cast<int64_t>(epoch));
      EXPECT_TRUE(std::isfinite(row.loss));
      EXPECT_FALSE(row.error) << "a regression has none";
      if (epoch > 0) {
        EXPECT_GT(row.gradient_norm, 0);
        EXPECT_GT(row.seconds_per_step, 0);
      }
      if (cell.method == Method::UnitRows) {
        EXPECT_NEAR(row.v_norm, 1, 1e-6);
        EXPECT_NEAR(row.effective_step, cell.learning_rate, 1e-6);
      }
    }
    // The gradient of v is orthogonal to v, so steps of plain SGD can only make it longer.
    if (cell.method == Method::WeightNorm && cell.optimizer == "sgd") {
      EXPECT_GT(rows->back().v_norm, rows->front().v_norm);
      EXPECT_LT(rows->back().effective_step, rows->front().effective_step);
    }
  }
}

TEST(StudyCell, DivergenceIsAResult) {
  StudyPlan plan = tiny_plan();
  plan.optimizers = {{"sgd", {1e30}}};
  const Cell cell = cells_of(plan).front();
  const auto rows = run_cell(plan, cell);
  ASSERT_TRUE(rows);
  EXPECT_TRUE(rows->back().diverged);
  EXPECT_TRUE(std::isnan(rows->back().loss) || std::isinf(rows->back().loss));
  EXPECT_EQ(rows->size(), 2U) << "it ends in the first epoch";
  EXPECT_TRUE(is_complete(plan, cell, *rows));
}

TEST(StudyCell, IsNothingWhereItWasStopped) {
  const StudyPlan plan = tiny_plan();
  EXPECT_FALSE(run_cell(plan, cells_of(plan).front(), [] { return true; }));
}

TEST(Study, GoesOnWhereItStoodWithTheSameTable) {
  const int threads = num_threads();
  const TemporaryFolder folder;
  const StudyPlan plan = tiny_plan();
  const Results whole = run_study(plan, folder.path("whole"), {.jobs = 3});
  EXPECT_EQ(whole.finished(), all_methods().size() * 3U * 2U);
  EXPECT_EQ(folder.read("whole/results.csv"), whole.csv());

  int runs = 0;
  StudyRunOptions options;
  options.on_cell = [&](const Results&, const Cell* cell) { runs += cell == nullptr ? 0 : 1; };
  options.should_stop = [&] { return runs == 5; };
  const Results part = run_study(plan, folder.path("parts"), options);
  EXPECT_EQ(part.finished(), 5U);
  options.should_stop = [] { return false; };
  const Results rest = run_study(plan, folder.path("parts"), options);
  EXPECT_EQ(runs, static_cast<int>(all_methods().size()) * 3 * 2) << "each once";
  EXPECT_EQ(rows_without_seconds(rest), rows_without_seconds(whole));
  const std::string table = folder.read("parts/results.csv");
  EXPECT_EQ(table, rest.csv());

  run_study(plan, folder.path("parts"), options);
  EXPECT_EQ(runs, static_cast<int>(all_methods().size()) * 3 * 2) << "nothing is left";
  EXPECT_EQ(folder.read("parts/results.csv"), table);
  set_num_threads(threads);
}

TEST(Study, RefusesTheFilesOfAnotherPlan) {
  const int threads = num_threads();
  const TemporaryFolder folder;
  StudyPlan plan = tiny_plan();
  plan.methods = {Method::Plain};
  plan.optimizers = {{"adam", {0.01}}};
  run_study(plan, folder.path("out"));
  StudyPlan other = plan;
  other.seeds = 3;
  expect_throws<FileError>([&] { run_study(other, folder.path("out")); },
                           {"plan.json", "another plan: seeds differ"});
  const std::string table = folder.read("out/results.csv");
  folder.write("out/results.csv", table + "tcn-adding,plain,adam,0.5,0,0,,1,,,1,1,,0\n");
  expect_throws<FileError>([&] { run_study(plan, folder.path("out")); },
                           {"results.csv", "line 8", "tcn-adding,plain,adam,0.5,0"});
  folder.write("out/results.csv", table.substr(0, table.rfind("tcn-adding")));
  EXPECT_EQ(Results::open(folder.path("out"), plan).finished(), 1U) << "half a run is none";
  expect_throws<ValueError>([&] { run_study(plan, folder.path("out"), {.jobs = 0}); },
                            {"jobs: got 0"});
  set_num_threads(threads);
}

TEST(StudyStatistics, StudentsTIsThatOfTables) {
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.706204736, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 2), 4.302652730, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 4), 2.776445105, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 9), 2.262157163, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.025, 9), -2.262157163, 1e-8);
  EXPECT_EQ(student_t_cdf(0, 3), 0.5);
  expect_throws<ValueError>([] { student_t_quantile(1, 3); }, {"probability: got 1"});
  expect_throws<ValueError>([] { student_t_cdf(1, 0); }, {"degrees: got 0"});
}

TEST(StudyStatistics, PairedDifferencesAreThoseByHand) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  // Differences 1, 2 and 4: mean 7/3, variance 7/3.
  const auto of = paired_difference(std::vector<double>{2, 3, nan, 5, 1},
                                    std::vector<double>{1, 1, 0, 1, INFINITY});
  ASSERT_TRUE(of && of->interval && of->effect && of->effect_interval);
  EXPECT_EQ(of->pairs, 3);
  EXPECT_NEAR(of->mean, 7. / 3, 1e-15);
  const double half = 4.302652730 * std::sqrt(7. / 9);
  EXPECT_NEAR(of->interval->low, 7. / 3 - half, 1e-8);
  EXPECT_NEAR(of->interval->high, 7. / 3 + half, 1e-8);
  EXPECT_NEAR(*of->effect, 4. / 7 * std::sqrt(7. / 3), 1e-12);
  const double half_effect = 4.302652730 * 4 / 7 * std::sqrt(1. / 3 + 7. / 18);
  EXPECT_NEAR(of->effect_interval->high - *of->effect, half_effect, 1e-8);
  EXPECT_NEAR(*of->effect - of->effect_interval->low, half_effect, 1e-8);
  const auto one = paired_difference(std::vector<double>{3}, std::vector<double>{1});
  EXPECT_EQ(one->mean, 2);
  EXPECT_FALSE(one->interval) << "one pair says nothing of its spread";
  EXPECT_FALSE(paired_difference(std::vector<double>{nan}, std::vector<double>{1}));
  expect_throws<ValueError>(
      [] {
        paired_difference(std::vector<double>{1, 2}, std::vector<double>{1});
      },
      {"got 2 and 1"});
}

EpochRow row_at(int64_t epoch, double loss, double error, bool diverged = false) {
  return {
      .epoch = epoch, .loss = loss, .error = error, .seconds_per_step = 0.5, .diverged = diverged};
}

// Two epochs from a loss of 2, to these.
std::vector<EpochRow> run_of(double first, double second, double error) {
  return {row_at(0, 2, 0.9), row_at(1, first, error), row_at(2, second, error)};
}

// Plain weights, best at 0.1, and weight norm, best at 1.
Results made_results() {
  StudyPlan plan = tiny_plan();
  plan.methods = {Method::Plain, Method::WeightNorm};
  plan.optimizers = {{"sgd", {0.1, 1}}};
  Results results(plan);
  const std::vector<EpochRow> diverged = {row_at(0, 2, 0.9), row_at(1, NAN, NAN, true)};
  const std::vector<EpochRow> learnt_nothing = run_of(2, 2.5, 0.9);
  results.add(0, run_of(1.5, 1.0, 0.3));  // plain, 0.1
  results.add(1, run_of(1.6, 0.8, 0.2));
  results.add(2, diverged);  // plain, 1
  results.add(3, learnt_nothing);
  results.add(4, run_of(1.5, 1.5, 0.4));  // weight norm, 0.1
  results.add(5, run_of(1.5, 1.5, 0.4));
  results.add(6, run_of(0.9, 0.5, 0.1));  // weight norm, 1
  results.add(7, run_of(1.0, 0.5, 0.1));
  return results;
}

TEST(StudyAnalysis, IsThatByHand) {
  const std::vector<SubjectAnalysis> all = analyse(made_results());
  ASSERT_EQ(all.size(), 1U);
  EXPECT_TRUE(all[0].has_error);
  ASSERT_EQ(all[0].methods.size(), 2U);
  const MethodSummary& plain = all[0].methods[0];
  EXPECT_EQ(plain.learning_rate, 0.1);
  EXPECT_EQ(plain.runs, 4);
  EXPECT_EQ(plain.diverged, 1);
  EXPECT_EQ(plain.failed, 2);
  EXPECT_NEAR(plain.final_loss.mean, 0.9, 1e-15);
  EXPECT_NEAR(plain.final_loss.std, std::sqrt(0.02), 1e-15);
  EXPECT_FALSE(plain.final_loss.difference);
  EXPECT_EQ(plain.failures.of_seeds, (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(plain.epochs_to_plain.of_seeds, (std::vector<double>{3, 2})) << "1.0 is above 0.9";
  const MethodSummary& normed = all[0].methods[1];
  EXPECT_EQ(normed.learning_rate, 1);
  EXPECT_EQ(normed.failed, 0);
  EXPECT_EQ(normed.failures.difference->mean, -0.5);
  EXPECT_EQ(normed.failures.verdict, Verdict::Yes) << "both seeds, at every rate";
  EXPECT_EQ(normed.epochs_to_plain.of_seeds, (std::vector<double>{1, 2}));
  EXPECT_EQ(normed.epochs_to_plain.verdict, Verdict::Open);
  EXPECT_EQ(normed.seconds_per_step.mean, 0.5);
  EXPECT_EQ(normed.seconds_per_step.verdict, Verdict::Open) << "no slower and no faster";
  EXPECT_NEAR(normed.final_error.difference->mean, -0.15, 1e-15);
  // -0.2 and -0.1: half the interval is 12.7 times 0.05.
  EXPECT_NEAR(normed.final_error.difference->interval->high, -0.15 + 12.706204736 * 0.05, 1e-9);
  EXPECT_EQ(normed.final_error.verdict, Verdict::Open);
}

TEST(StudyAnalysis, LeavesOutMethodsOfWhichRunsAreMissing) {
  const Results whole = made_results();
  Results part(whole.plan());
  EXPECT_TRUE(analyse(part).empty());
  for (size_t cell = 0; cell < 7; ++cell) {
    part.add(cell, whole.rows(cell));
    EXPECT_EQ(analyse(part).size(), cell < 3 ? 0U : 1U);
  }
  EXPECT_EQ(analyse(part)[0].methods.size(), 1U);
  EXPECT_EQ(claims_text(part), "");
}

TEST(StudyPage, SaysWhatTheAnalysisSays) {
  const std::string page = study_page(made_results());
  EXPECT_NE(page.find("8 of 8 runs"), std::string::npos);
  EXPECT_NE(page.find("<td>share of rates that failed</td><td>0.5</td><td>0</td><td>-0.5</td>"),
            std::string::npos)
      << page;
  const std::string text = claims_text(made_results());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4) << text;
  EXPECT_EQ(text.substr(0, 10), "stability ");
  EXPECT_NE(text.find(" yes\n"), std::string::npos);
}

}  // namespace
}  // namespace warptape::weight_norm_study
