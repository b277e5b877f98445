// A recipe as JSON: there and back, and what is none.

#include "training/recipe.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "layers/linear.h"
#include "tests/training/bad_files.h"

namespace warptape {
namespace {

using Json = nlohmann::ordered_json;

// No field has its default.
Recipe unusual() {
  return {.model = "mlp",
          .input_channels = 2,
          .num_classes = 7,
          .image_size = 9,
          .weight_norm = false,
          .dtype = "float64",
          .init = "a \"quoted\"\nname",
          .data = "d\x1b[31m",
          .mean = {0.1, 1.0 / 3},
          .std = {1e-300, 0.7},
          .validation = 0.1,
          .batch_size = 3,
          .drop_last = true,
          .shuffle = false,
          .seed = UINT64_MAX,
          .epochs = 2,
          .max_steps = 11,
          .clip_norm = 0.3,
          .optimizer = {.name = "sgd",
                        .lr = 0.1 + 0.2,
                        .momentum = 0.9,
                        .nesterov = true,
                        .weight_decay = 1e-4},
          .schedule =
              {.name = "step", .warmup_steps = 4, .step_epochs = 1, .gamma = 0.25, .min_lr = 1e-5},
          .checkpoint_every = 17,
          .device = "cuda:0",
          .gpu_libraries = "off",
          .tf32 = true,
          .data_on_device = false,
          .threads = 3};
}

TEST(Recipes, ComeBackFromJsonAsTheyWere) {
  for (const Recipe& recipe : {Recipe(), unusual()}) {
    const RunFacts facts{.warptape = "0", .data_kind = "IDX", .onednn = "3"};
    const Recipe back = recipe_from_json(to_json(recipe, facts), "config.json");
    EXPECT_EQ(differing_keys(back, recipe), std::vector<std::string>{});
    EXPECT_EQ(to_json(back, facts), to_json(recipe, facts));
  }
  const Recipe back = recipe_from_json(to_json(unusual()), "config.json");
  EXPECT_EQ(back.init, unusual().init);
  EXPECT_EQ(back.data, unusual().data);
  EXPECT_EQ(back.optimizer.lr, 0.1 + 0.2);
  EXPECT_EQ(back.mean, unusual().mean);
  EXPECT_EQ(back.seed, UINT64_MAX);
  EXPECT_EQ(back.data_on_device, std::optional(false));
}

TEST(Recipes, DifferInEveryFieldThatTheyHave) {
  const std::vector<std::string> keys = differing_keys(Recipe(), unusual());
  const Json json = Json::parse(to_json(unusual()));
  const Json facts = Json::parse(to_json({}, {}));
  // All keys but the nine facts.
  EXPECT_EQ(keys.size(), json.size() - 9) << "a field is not written, or not unusual";
  EXPECT_EQ(json.size(), facts.size());
}

TEST(Recipes, ThatAreNoneAreRefused) {
  const Json good = Json::parse(to_json(Recipe()));
  const auto refuses = [](const std::string& text, const Parts& parts) {
    expect_file_error([&] { recipe_from_json(text, "a\x1b.json"); }, parts);
  };
  refuses("", {"[recipe] a\\x1b.json: ", "wanted the JSON object"});
  refuses("[1]", {"got [1], wanted the JSON object"});
  refuses("{\"model\": ", {"wanted the JSON object"});
  for (const auto& [key, value] : good.items()) {
    Json without = good;
    without.erase(key);
    const std::string text = without.dump();
    const bool is_fact = key == "warptape" || key == "data_kind" || key == "parameters" ||
                         key.ends_with("_images") || key == "onednn" || key == "cublaslt" ||
                         key == "cudnn";
    if (is_fact) {
      EXPECT_NO_THROW(recipe_from_json(text, "x")) << key;
    } else {
      refuses(text, {key + ": not there, wanted "});
      Json wrong = good;
      wrong[key] = {{"no", "value"}};
      refuses(wrong.dump(), {key + ": got {\"no\":\"value\"}, wanted "});
    }
  }
  struct Case {
    std::string key;
    Json value;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"epochs", 0, "epochs: got 0, wanted a whole number of 1 or more"},
      {"epochs", 1.5, "epochs: got 1.5"},
      {"epochs", true, "epochs: got true"},
      {"epochs", uint64_t{1} << 63, "epochs: got 9223372036854775808"},
      {"batch_size", -1, "batch_size: got -1"},
      {"seed", -1, "seed: got -1, wanted a whole number of 64 bits"},
      {"validation", 1, "validation: got 1, wanted a number from 0 to below 1"},
      {"lr", -0.1, "lr: got -0.1, wanted a number of 0 or more"},
      {"lr", "fast", "lr: got \"fast\""},
      {"lr", nullptr, "lr: got null"},
      {"clip_norm", 0, "clip_norm: got 0, wanted a number above 0"},
      {"mean", {0.5, "x"}, "mean: got [0.5,\"x\"], wanted numbers"},
      {"std", {0.5, 0}, "std: got [0.5,0], wanted numbers above 0"},
      {"dtype", "float16", "dtype: got \"float16\", wanted float32 or float64"},
      {"optimizer", "lion", "optimizer: got \"lion\", wanted sgd, adam or adamw"},
      {"schedule", "s\x1b", "schedule: got \"s\\u001b\", wanted constant, step or cosine"},
      {"gpu_libraries", "maybe", "gpu_libraries: got \"maybe\", wanted auto, on or off"},
      {"shuffle", 1, "shuffle: got 1, wanted true or false"},
      {"more", 1, "got the key more, which a recipe does not have"},
  };
  for (const Case& bad : cases) {
    Json json = good;
    json[bad.key] = bad.value;
    refuses(json.dump(), {bad.message});
  }
}

TEST(Recipes, MakeTheOptimizersThatTheyName) {
  Linear model(2, 2);
  for (const std::string& name : optimizer_names()) {
    EXPECT_EQ(make_optimizer({.name = name, .lr = 0.5}, parameters(model))->learning_rate(), 0.5);
  }
  expect_error<ValueError>([&] { make_optimizer({.name = "l\x1b"}, parameters(model)); },
                           {"got \"l\\x1b\", wanted sgd, adam or adamw"});
}

}  // namespace
}  // namespace warptape
