// A recipe as JSON: there and back, and what is none.

#include "training/recipe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "layers/linear.h"
#include "tests/training/bad_files.h"
#include "training/optimizers.h"
#include "training/schedules.h"

namespace warptape {
namespace {

using Json = nlohmann::ordered_json;

// No field has its default.
Recipe unusual() {
  return {.model = "mlp",
          .weight_norm = false,
          .dtype = "float64",
          .precision = "bf16",
          .init = "a \"quoted\"\nname",
          .input_channels = 2,
          .num_classes = 7,
          .image_size = 9,
          .mean = {0.1, 1.0 / 3},
          .std = {1e-300, 0.7},
          .data = "d\x1b[31m",
          .validation = 0.1,
          .batch_size = 3,
          .drop_last = true,
          .shuffle = false,
          .seed = UINT64_MAX,
          .epochs = 2,
          .max_steps = 11,
          .patience = 3,
          .clip_norm = 0.3,
          .ema_decay = 0.99,
          .optimizer = {"rmsprop", {{"lr", 0.1 + 0.2}, {"centered", true}}},
          .decay = "all",
          .schedule = {"step", {{"step_epochs", 1}, {"gamma", 0.25}}},
          .warmup_steps = 4,
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
  EXPECT_EQ(back.optimizer.options.at("lr"), OptionValue(0.1 + 0.2));
  EXPECT_EQ(back.optimizer.options.at("alpha"), OptionValue(0.99)) << "defaults are written too";
  EXPECT_EQ(back.schedule.options.at("step_epochs"), OptionValue(int64_t{1}));
  EXPECT_EQ(back.mean, unusual().mean);
  EXPECT_EQ(back.seed, UINT64_MAX);
  EXPECT_EQ(back.data_on_device, std::optional(false));
}

TEST(Recipes, DifferInEveryFieldThatTheyHave) {
  const std::vector<std::string> keys = differing_keys(Recipe(), unusual());
  const Json usual = Json::parse(to_json(Recipe()));
  std::set<std::string> wanted;
  for (const auto& [key, value] : usual.items()) {
    wanted.insert(key);
  }
  const Json other = Json::parse(to_json(unusual()));
  for (const auto& [key, value] : other.items()) {
    wanted.insert(key);
  }
  for (const char* fact : {"warptape", "data_kind", "train_rows", "validation_rows", "test_rows",
                           "parameters", "onednn", "cublaslt", "cudnn"}) {
    EXPECT_EQ(wanted.erase(fact), 1U) << fact;
  }
  // What both optimizers have with one default, and the one task of images.
  for (const char* same : {"eps", "weight_decay", "task"}) {
    EXPECT_EQ(wanted.erase(same), 1U) << same;
  }
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()), wanted)
      << "a field is not written, or not unusual";
}

TEST(Recipes, OfSequencesHaveNoKeysOfImages) {
  Recipe adding;
  adding.model = {"tcn", {{"channels", std::vector<int64_t>{3, 5}}}};
  adding.task = {"adding", {{"length", 7}}};
  const Json json = Json::parse(to_json(adding));
  for (const char* key : {"input_channels", "num_classes", "image_size", "mean", "std"}) {
    EXPECT_FALSE(json.contains(key)) << key;
  }
  EXPECT_EQ(json.at("channels"), Json({3, 5}));
  EXPECT_EQ(json.at("length"), 7);
  EXPECT_EQ(json.at("block"), "bai");
  const Recipe back = recipe_from_json(json.dump(), "x");
  EXPECT_EQ(to_json(back), to_json(adding));
  Recipe other = back;
  other.model.options["block"] = std::string("darts");
  other.task = {"copy-memory", {{"length", 7}}};
  EXPECT_EQ(differing_keys(other, adding),
            (std::vector<std::string>{"block", "task", "train_sequences", "warm_up"}));
  for (const auto& [key, value, message] : std::vector<std::array<const char*, 3>>{
           {"channels", "[1,0]", "channels: got [1,0], wanted whole numbers of 1 or more"},
           {"channels", "[1.5]", "channels: got [1.5]"},
           {"channels", "3", "channels: got 3"},
           {"block", "\"b\\n\"", "block: got \"b\\n\", wanted bai or darts"},
           {"image_size", "8", "got the key image_size"},
           {"task", "\"images\"", "got task images, wanted adding"}}) {
    Json wrong = json;
    wrong[key] = Json::parse(value);
    expect_file_error([&] { recipe_from_json(wrong.dump(), "x"); }, {message});
  }
}

// The options of what is chosen are keys beside the others.
TEST(Recipes, HaveTheOptionsOfWhatIsChosen) {
  const auto optimizer_of = [](const Choice& choice) {
    Recipe recipe;
    recipe.optimizer = choice;
    const Json json = Json::parse(to_json(recipe));
    std::vector<std::string> keys;
    for (const auto& [key, value] : json.items()) {
      keys.push_back(key);
    }
    const auto begin = std::find(keys.begin(), keys.end(), "optimizer");
    return std::vector(begin, std::find(begin, keys.end(), "schedule"));
  };
  using Keys = std::vector<std::string>;
  EXPECT_EQ(optimizer_of({"sgd"}), (Keys{"optimizer", "lr", "momentum", "nesterov", "dampening",
                                         "weight_decay", "decay"}));
  EXPECT_EQ(optimizer_of({"adam"}),
            (Keys{"optimizer", "lr", "beta1", "beta2", "eps", "weight_decay", "decay"}));
  Recipe recipe;
  recipe.optimizer = {"sgd", {{"lr", 1}}};
  EXPECT_EQ(Json::parse(to_json(recipe)).at("lr"), 1.0) << "a whole number is a number";
}

TEST(Recipes, RefuseOptionsThatDoNotApply) {
  const auto refuses = [](const Choice& optimizer, const Choice& schedule, const Parts& parts) {
    Recipe recipe;
    recipe.optimizer = optimizer;
    recipe.schedule = schedule;
    expect_error<ValueError>([&] { check_choices(recipe); }, parts);
  };
  const Choice adam{"adam"};
  const Choice constant{"constant"};
  refuses({"adam", {{"momentum", 0.9}}}, constant,
          {"[recipe] momentum: got optimizer adam, wanted sgd or rmsprop"});
  refuses({"adam", {{"speed", 0.9}}}, constant,
          {"[recipe] speed: no option of optimizer adam, which has lr, beta1, beta2, eps or"});
  refuses({"adam", {{"beta1", 1}}}, constant, {"beta1: got 1, wanted a number from 0 to below 1"});
  refuses({"sgd", {{"nesterov", 1}}}, constant, {"nesterov: got 1, wanted true or false"});
  refuses({"sgd", {{"nesterov", true}}}, constant, {"[recipe] nesterov: got no momentum, wanted"});
  refuses({"sgd", {{"lr", NAN}}}, constant, {"lr: got nan, wanted a number of 0 or more"});
  refuses(adam, {"constant", {{"gamma", 0.5}}}, {"gamma: got schedule constant, wanted step"});
  refuses(adam, {"step", {{"step_epochs", 1.5}}}, {"step_epochs: got 1.5, wanted a whole number"});
  refuses(adam, {"step", {{"step_epochs", 15}}}, {"wanted fewer than epochs 15"});
  refuses(adam, {"cosine", {{"min_lr", 0.1}}}, {"[recipe] min_lr 0.1: got lr 0.001, wanted"});
  Linear model(2, 2);
  expect_error<ValueError>(
      [&] {
        make_optimizer({"adam", {{"alpha", 1}}}, parameters(model));
      },
      {"[optimizer] alpha: got optimizer adam, wanted rmsprop"});
  expect_error<ValueError>(
      [&] {
        make_optimizer({"sgd", {{"nesterov", true}}}, parameters(model));
      },
      {"[optimizer] nesterov: got no momentum, wanted one above 0"});
  expect_error<ValueError>(
      [&] {
        make_schedule(Choice{"cosine", {{"min_lr", -1}}});
      },
      {"[schedule] min_lr: got -1, wanted a number of 0 or more"});
  refuses({"lion"}, constant, {"[optimizer] got \"lion\", wanted sgd, adam, adamw or rmsprop"});
  refuses(adam, {"linear"},
          {"[schedule] got \"linear\", wanted constant, step, cosine or one_cycle"});
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
                         key.ends_with("_rows") || key == "onednn" || key == "cublaslt" ||
                         key == "cudnn";
    const bool came_later = key == "decay";
    if (is_fact || came_later) {
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
      {"ema_decay", 1, "ema_decay: got 1, wanted a number from 0 to below 1"},
      {"mean", {0.5, "x"}, "mean: got [0.5,\"x\"], wanted numbers"},
      {"std", {0.5, 0}, "std: got [0.5,0], wanted numbers above 0"},
      {"dtype", "float16", "dtype: got \"float16\", wanted float32 or float64"},
      {"precision", "fp8", "precision: got \"fp8\", wanted float32 or bf16"},
      {"decay", "none", "decay: got \"none\", wanted weights or all"},
      {"decay", nullptr, "decay: got null, wanted weights or all"},
      {"optimizer", "lion", "optimizer: got \"lion\", wanted sgd, adam, adamw or rmsprop"},
      {"schedule", "s\x1b",
       "schedule: got \"s\\u001b\", wanted constant, step, cosine or one_cycle"},
      {"gpu_libraries", "maybe", "gpu_libraries: got \"maybe\", wanted auto, on or off"},
      {"shuffle", 1, "shuffle: got 1, wanted true or false"},
      {"beta2", 1, "beta2: got 1, wanted a number from 0 to below 1"},
      {"beta2", "x", "beta2: got \"x\", wanted a number"},
      {"momentum", 0, "momentum: got optimizer adam, wanted sgd or rmsprop"},
      {"gamma", 0.5, "gamma: got schedule constant, wanted step"},
      {"more", 1, "got the key more, which a recipe does not have"},
  };
  for (const Case& bad : cases) {
    Json json = good;
    json[bad.key] = bad.value;
    refuses(json.dump(), {bad.message});
  }
}

// Runs from before there was a choice go on as they were.
TEST(Recipes, WithoutDecayDecayAll) {
  Json json = Json::parse(to_json(Recipe()));
  EXPECT_EQ(json.at("decay"), "weights");
  json.erase("decay");
  EXPECT_EQ(recipe_from_json(json.dump(), "x").decay, "all");
}

TEST(Recipes, MakeTheOptimizersThatTheyName) {
  Linear model(2, 2);
  for (const std::string& name : optimizers().names()) {
    EXPECT_EQ(make_optimizer({name, {{"lr", 0.5}}}, parameters(model))->learning_rate(), 0.5);
  }
  EXPECT_EQ(make_optimizer({"rmsprop"}, parameters(model))->learning_rate(), 0.01);
  expect_error<ValueError>([&] { make_optimizer({"l\x1b"}, parameters(model)); },
                           {"got \"l\\x1b\", wanted sgd, adam, adamw or rmsprop"});
}

TEST(Recipes, RegistriesRefuseWhatWouldBeAmbiguous) {
  struct Options {
    double alpha = 2;
    int64_t lr = 1;
  };
  Registry<OptimizerKind> own("optimizer", {sgd_optimizer()});
  const auto kind = [](const char* name, const std::vector<Option>& options) {
    return OptimizerKind{name, "", options, nullptr};
  };
  expect_error<ValueError>([&] { own.add(sgd_optimizer()); },
                           {"[optimizer] got \"sgd\", which is"});
  expect_error<ValueError>([&] { own.add(kind("", {})); }, {"empty name"});
  const auto alpha =
      OptionList<Options>()("alpha", &Options::alpha, rules::up_to_one, "").options();
  expect_error<ValueError>([&] { own.add(kind("a", alpha)); }, {"a: alpha: got the default 2"});
  const auto whole = OptionList<Options>()("lr", &Options::lr, rules::one_or_more, "").options();
  expect_error<ValueError>([&] { own.add(kind("b", whole)); },
                           {"b: lr: got a whole", "as sgd has"});
  const Option one = whole[0];
  Registry<OptimizerKind> empty("optimizer", {});
  expect_error<ValueError>([&] { empty.add(kind("c", {one, one})); }, {"the option lr twice"});
  empty.add(kind("c", {one}));
  EXPECT_EQ(empty.complete({"c", {{"lr", 3}}}).at("lr"), OptionValue(int64_t{3}));
}

}  // namespace
}  // namespace warptape
