#include "training/recipe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace warptape {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t most_steps = int64_t{1} << 40;

// Which values a field takes, and how errors say that.
template <class T>
struct Rule {
  const char* wanted;
  bool (*accepts)(const T&);
};
constexpr Rule<int64_t> one_or_more{"a whole number of 1 or more, up to 2^40",
                                    [](const int64_t& v) { return v >= 1 && v <= most_steps; }};
constexpr Rule<int64_t> not_negative{"a whole number of 0 or more, up to 2^40",
                                     [](const int64_t& v) { return v >= 0 && v <= most_steps; }};
constexpr Rule<uint64_t> whole{"a whole number of 64 bits", [](const uint64_t&) { return true; }};
constexpr Rule<double> zero_or_more{"a number of 0 or more",
                                    [](const double& v) { return v >= 0 && std::isfinite(v); }};
constexpr Rule<double> above_zero{"a number above 0",
                                  [](const double& v) { return v > 0 && std::isfinite(v); }};
constexpr Rule<double> below_one{"a number from 0 to below 1",
                                 [](const double& v) { return v >= 0 && v < 1; }};
constexpr Rule<bool> flag{"true or false", [](const bool&) { return true; }};
constexpr Rule<std::string> text{"a text", [](const std::string&) { return true; }};
constexpr Rule<std::string> dtype{
    "float32 or float64", [](const std::string& v) { return v == "float32" || v == "float64"; }};
constexpr Rule<std::string> auto_on_off{
    "auto, on or off", [](const std::string& v) { return v == "auto" || v == "on" || v == "off"; }};
constexpr Rule<std::string> schedule_name{"constant, step or cosine", [](const std::string& v) {
                                            return v == "constant" || v == "step" || v == "cosine";
                                          }};
constexpr Rule<std::string> optimizer_name{"sgd, adam or adamw", [](const std::string& v) {
                                             const auto names = optimizer_names();
                                             return std::find(names.begin(), names.end(), v) !=
                                                    names.end();
                                           }};
constexpr Rule<std::vector<double>> numbers{
    "numbers", [](const std::vector<double>& v) {
      return std::all_of(v.begin(), v.end(), [](double one) { return std::isfinite(one); });
    }};
constexpr Rule<std::vector<double>> positive_numbers{
    "numbers above 0", [](const std::vector<double>& v) {
      return std::all_of(v.begin(), v.end(),
                         [](double one) { return one > 0 && std::isfinite(one); });
    }};

// Every field, in the order of config.json.
template <class Visit, class AnyRecipe>
void fields(Visit& visit, AnyRecipe& r) {
  visit("model", r.model, text);
  visit("input_channels", r.input_channels, not_negative);
  visit("num_classes", r.num_classes, not_negative);
  visit("image_size", r.image_size, one_or_more);
  visit("weight_norm", r.weight_norm, flag);
  visit("dtype", r.dtype, dtype);
  visit("init", r.init, text);
  visit("data", r.data, text);
  visit("mean", r.mean, numbers);
  visit("std", r.std, positive_numbers);
  visit("validation", r.validation, below_one);
  visit("batch_size", r.batch_size, one_or_more);
  visit("drop_last", r.drop_last, flag);
  visit("shuffle", r.shuffle, flag);
  visit("seed", r.seed, whole);
  visit("epochs", r.epochs, one_or_more);
  visit("max_steps", r.max_steps, one_or_more);
  visit("clip_norm", r.clip_norm, above_zero);
  visit("optimizer", r.optimizer.name, optimizer_name);
  visit("lr", r.optimizer.lr, zero_or_more);
  visit("momentum", r.optimizer.momentum, below_one);
  visit("nesterov", r.optimizer.nesterov, flag);
  visit("weight_decay", r.optimizer.weight_decay, zero_or_more);
  visit("schedule", r.schedule.name, schedule_name);
  visit("warmup_steps", r.schedule.warmup_steps, not_negative);
  visit("step_epochs", r.schedule.step_epochs, one_or_more);
  visit("gamma", r.schedule.gamma, above_zero);
  visit("min_lr", r.schedule.min_lr, zero_or_more);
  visit("checkpoint_every", r.checkpoint_every, one_or_more);
  visit("device", r.device, text);
  visit("gpu_libraries", r.gpu_libraries, auto_on_off);
  visit("tf32", r.tf32, flag);
  visit("data_on_device", r.data_on_device, flag);
  visit("threads", r.threads, not_negative);
}

template <class Visit>
void fact_fields(Visit& visit, const RunFacts& f) {
  visit("warptape", f.warptape, text);
  visit("data_kind", f.data_kind, text);
  visit("train_images", f.train_images, not_negative);
  visit("validation_images", f.validation_images, not_negative);
  visit("test_images", f.test_images, not_negative);
  visit("parameters", f.parameters, not_negative);
  visit("onednn", f.onednn, text);
  visit("cublaslt", f.cublaslt, text);
  visit("cudnn", f.cudnn, text);
}

struct Writer {
  Json json = Json::object();

  template <class T>
  void operator()(const char* key, const T& value, const Rule<T>&) {
    json[key] = value;
  }
  template <class T>
  void operator()(const char* key, const std::optional<T>& value, const Rule<T>&) {
    json[key] = value ? Json(*value) : Json(nullptr);
  }
};

template <class T>
bool has_type(const Json& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value.is_boolean();
  } else if constexpr (std::is_same_v<T, std::string>) {
    return value.is_string();
  } else if constexpr (std::is_same_v<T, double>) {
    return value.is_number();
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    return value.is_number_unsigned();
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return value.is_number_integer() &&
           (!value.is_number_unsigned() ||
            value.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()});
  } else {
    return value.is_array() &&
           std::all_of(value.begin(), value.end(), [](const Json& one) { return one.is_number(); });
  }
}

struct Reader {
  const Json& json;
  const std::string& path;
  std::set<std::string> known = {};

  [[noreturn]] void fail(const std::string& message) const {
    throw FileError(fmt::format("[recipe] {}: {}", escaped(path), message));
  }
  const Json& find(const char* key, const char* wanted) {
    known.insert(key);
    const auto found = json.find(key);
    if (found == json.end()) {
      fail(fmt::format("{}: not there, wanted {}", key, wanted));
    }
    return *found;
  }
  template <class T>
  void operator()(const char* key, T& value, const Rule<T>& rule) {
    const Json& found = find(key, rule.wanted);
    if (has_type<T>(found)) {
      value = found.get<T>();
      if (rule.accepts(value)) {
        return;
      }
    }
    fail(fmt::format("{}: got {}, wanted {}", key,
                     excerpt(found.dump(-1, ' ', true, Json::error_handler_t::replace)),
                     rule.wanted));
  }
  template <class T>
  void operator()(const char* key, std::optional<T>& value, const Rule<T>& rule) {
    value.reset();
    if (!find(key, rule.wanted).is_null()) {
      (*this)(key, value.emplace(), rule);
    }
  }
};

// The names of the facts, which a reader passes over.
struct Names {
  std::set<std::string>& names;
  template <class T, class R>
  void operator()(const char* key, const T&, const R&) {
    names.insert(key);
  }
};

}  // namespace

std::string to_json(const Recipe& recipe, const RunFacts& facts) {
  Writer writer;
  fields(writer, recipe);
  fact_fields(writer, facts);
  return writer.json.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

Recipe recipe_from_json(const std::string& text, const std::string& path) {
  const Json json = Json::parse(text, nullptr, false);
  Reader reader{json, path};
  if (!json.is_object()) {
    reader.fail(fmt::format("got {}, wanted the JSON object of a run", excerpt(text)));
  }
  Recipe recipe;
  fields(reader, recipe);
  Names facts{reader.known};
  fact_fields(facts, RunFacts());
  for (const auto& [key, value] : json.items()) {
    if (!reader.known.contains(key)) {
      reader.fail(fmt::format("got the key {}, which a recipe does not have", excerpt(key)));
    }
  }
  return recipe;
}

std::vector<std::string> differing_keys(const Recipe& a, const Recipe& b) {
  Writer of_a;
  Writer of_b;
  fields(of_a, a);
  fields(of_b, b);
  std::vector<std::string> keys;
  for (const auto& [key, value] : of_a.json.items()) {
    if (value != of_b.json.at(key)) {
      keys.push_back(key);
    }
  }
  return keys;
}

std::vector<std::string> optimizer_names() {
  return {"sgd", "adam", "adamw"};
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerRecipe& recipe,
                                          ParameterStates parameters) {
  if (recipe.name == "sgd") {
    return std::make_unique<SGD>(std::move(parameters),
                                 SGD::Options{.lr = recipe.lr,
                                              .momentum = recipe.momentum,
                                              .weight_decay = recipe.weight_decay,
                                              .nesterov = recipe.nesterov});
  }
  if (recipe.name == "adam") {
    return std::make_unique<Adam>(
        std::move(parameters), Adam::Options{.lr = recipe.lr, .weight_decay = recipe.weight_decay});
  }
  check<ValueError>(recipe.name == "adamw", "[optimizer] got \"{}\", wanted sgd, adam or adamw",
                    escaped(recipe.name));
  return std::make_unique<AdamW>(
      std::move(parameters), AdamW::Options{.lr = recipe.lr, .weight_decay = recipe.weight_decay});
}

ScheduleOptions make_schedule(const Recipe& recipe, int64_t steps_per_epoch) {
  const ScheduleRecipe& schedule = recipe.schedule;
  const auto steps_of = [&](int64_t epochs) {
    int64_t steps = 0;
    const bool overflows = __builtin_mul_overflow(epochs, steps_per_epoch, &steps);
    return overflows ? std::numeric_limits<int64_t>::max() : steps;
  };
  int64_t total = steps_of(recipe.epochs);
  if (recipe.max_steps) {
    total = std::min(total, *recipe.max_steps);
  }
  check<ValueError>(schedule.warmup_steps <= total,
                    "[train] --warmup-steps {}: the run has {} steps, wanted no more than those",
                    schedule.warmup_steps, total);
  return {.kind = parse_schedule(schedule.name),
          .step_size = steps_of(schedule.step_epochs),
          .gamma = schedule.gamma,
          .total_steps = std::max<int64_t>(1, total - schedule.warmup_steps),
          .min_lr = schedule.min_lr,
          .warmup_steps = schedule.warmup_steps};
}

}  // namespace warptape
