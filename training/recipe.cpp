#include "training/recipe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/check.h"
#include "models/image_models.h"
#include "models/sequence_models.h"
#include "training/json_text.h"
#include "training/optimizers.h"
#include "training/schedules.h"
#include "training/tasks.h"

namespace warptape {
namespace {

using Json = nlohmann::ordered_json;

constexpr Rule<uint64_t> whole{"a whole number of 64 bits", [](const uint64_t&) { return true; }};
constexpr Rule<std::string> text{"a text", [](const std::string&) { return true; }};
constexpr Rule<std::string> dtype{
    "float32 or float64", [](const std::string& v) { return v == "float32" || v == "float64"; }};
constexpr Rule<std::string> precision{
    "float32 or bf16", [](const std::string& v) { return v == "float32" || v == "bf16"; }};
constexpr Rule<std::string> auto_on_off{
    "auto, on or off", [](const std::string& v) { return v == "auto" || v == "on" || v == "off"; }};
constexpr Rule<std::string> decay{
    "weights or all", [](const std::string& v) { return v == "weights" || v == "all"; }};
constexpr Rule<std::vector<double>> numbers{
    "numbers", [](const std::vector<double>& v) {
      return std::all_of(v.begin(), v.end(), [](double one) { return std::isfinite(one); });
    }};
constexpr Rule<std::vector<double>> positive_numbers{
    "numbers above 0", [](const std::vector<double>& v) {
      return std::all_of(v.begin(), v.end(),
                         [](double one) { return one > 0 && std::isfinite(one); });
    }};

// What recipes from before there was a key did.
struct Absent {
  const char* meant;
};

// Every field, in the order of config.json.
template <class Visit, class AnyRecipe>
void fields(Visit& visit, AnyRecipe& r) {
  visit("model", r.model, models());
  visit("task", r.task, tasks());
  if (is_image_model(r.model.name)) {
    visit("input_channels", r.input_channels, rules::not_negative);
    visit("num_classes", r.num_classes, rules::not_negative);
    visit("image_size", r.image_size, rules::one_or_more);
    visit("mean", r.mean, numbers);
    visit("std", r.std, positive_numbers);
  }
  visit("weight_norm", r.weight_norm, rules::flag);
  visit("dtype", r.dtype, dtype);
  visit("precision", r.precision, precision);
  visit("init", r.init, text);
  visit("data", r.data, text);
  visit("validation", r.validation, rules::below_one);
  visit("batch_size", r.batch_size, rules::one_or_more);
  visit("drop_last", r.drop_last, rules::flag);
  visit("shuffle", r.shuffle, rules::flag);
  visit("seed", r.seed, whole);
  visit("epochs", r.epochs, rules::one_or_more);
  visit("max_steps", r.max_steps, rules::one_or_more);
  visit("patience", r.patience, rules::one_or_more);
  visit("clip_norm", r.clip_norm, rules::above_zero);
  visit("ema_decay", r.ema_decay, rules::below_one);
  visit("optimizer", r.optimizer, optimizers());
  visit("decay", r.decay, decay, Absent{"all"});
  visit("schedule", r.schedule, schedules());
  visit("warmup_steps", r.warmup_steps, rules::not_negative);
  visit("checkpoint_every", r.checkpoint_every, rules::one_or_more);
  visit("device", r.device, text);
  visit("gpu_libraries", r.gpu_libraries, auto_on_off);
  visit("tf32", r.tf32, rules::flag);
  visit("data_on_device", r.data_on_device, rules::flag);
  visit("threads", r.threads, rules::not_negative);
}

template <class Visit>
void fact_fields(Visit& visit, const RunFacts& f) {
  visit("warptape", f.warptape, text);
  visit("data_kind", f.data_kind, text);
  visit("train_rows", f.train_rows, rules::not_negative);
  visit("validation_rows", f.validation_rows, rules::not_negative);
  visit("test_rows", f.test_rows, rules::not_negative);
  visit("parameters", f.parameters, rules::not_negative);
  visit("onednn", f.onednn, text);
  visit("cublaslt", f.cublaslt, text);
  visit("cudnn", f.cudnn, text);
}

struct Writer {
  Json json = Json::object();

  template <class T>
  void operator()(const std::string& key, const T& value, const Rule<T>&) {
    put(key, value);
  }
  template <class T>
  void operator()(const char* key, const std::optional<T>& value, const Rule<T>&) {
    put(key, value ? Json(*value) : Json(nullptr));
  }
  void operator()(const char* key, const std::string& value, const Rule<std::string>&, Absent) {
    put(key, value);
  }
  template <class Kind>
  void operator()(const char* key, const Choice& choice, const Registry<Kind>& registry) {
    const OptionValues options = registry.complete(choice);
    put(key, choice.name);
    for (const Option& option : registry.find(choice.name).options) {
      std::visit([&](const auto& value) { put(option.name, value); }, options.at(option.name));
    }
  }

 private:
  void put(const std::string& key, Json value) {
    check<ValueError>(!json.contains(key),
                      "[recipe] {}: got it twice, wanted options of other names", key);
    json[key] = std::move(value);
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
    using Element = typename T::value_type;
    return value.is_array() && std::all_of(value.begin(), value.end(), has_type<Element>);
  }
}

// A JSON value of the type that the option's default has.
std::optional<OptionValue> option_value(const Json& json, const OptionValue& like) {
  return std::visit(
      [&]<class T>(T) -> std::optional<OptionValue> {
        return has_type<T>(json) ? std::optional<OptionValue>(json.get<T>()) : std::nullopt;
      },
      like);
}

struct Reader {
  const Json& json;
  const std::string& path;
  std::set<std::string> known = {};
  std::map<std::string, std::string> elsewhere = {};  // why a key does not apply

  [[noreturn]] void fail(const std::string& message) const {
    throw FileError(fmt::format("[recipe] {}: {}", escaped(path), message));
  }
  const Json& find(const std::string& key, const std::string& wanted) {
    known.insert(key);
    const auto found = json.find(key);
    if (found == json.end()) {
      fail(fmt::format("{}: not there, wanted {}", key, wanted));
    }
    return *found;
  }
  // After all fields.
  void check_no_others() const {
    for (const auto& [key, value] : json.items()) {
      const bool is_known = known.contains(key);
      if (const auto why = elsewhere.find(key); !is_known && why != elsewhere.end()) {
        fail(why->second);
      }
      if (!is_known) {
        fail(fmt::format("got the key {}, which a recipe does not have", excerpt(key)));
      }
    }
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
    fail_value(key, found, rule.wanted);
  }
  void operator()(const char* key, std::string& value, const Rule<std::string>& rule,
                  Absent absent) {
    value = absent.meant;
    if (json.contains(key)) {
      (*this)(key, value, rule);
    }
  }
  [[noreturn]] void fail_value(const std::string& key, const Json& found,
                               const std::string& wanted) const {
    fail(fmt::format("{}: got {}, wanted {}", key, excerpt(json_line(found)), wanted));
  }
  template <class T>
  void operator()(const char* key, std::optional<T>& value, const Rule<T>& rule) {
    value.reset();
    if (!find(key, rule.wanted).is_null()) {
      (*this)(key, value.emplace(), rule);
    }
  }
  template <class Kind>
  void operator()(const char* key, Choice& choice, const Registry<Kind>& registry) {
    const std::vector<std::string> names = registry.names();
    const std::string wanted = joined_by_or(names);
    const Json& found = find(key, wanted);
    if (!found.is_string() ||
        std::find(names.begin(), names.end(), found.get<std::string>()) == names.end()) {
      fail_value(key, found, wanted);
    }
    choice = {found.get<std::string>(), {}};
    for (const Option& option : registry.find(choice.name).options) {
      const Json& value = find(option.name, option.wanted);
      const std::optional<OptionValue> given = option_value(value, option.standard);
      if (!given || !option.accepts(*given)) {
        fail_value(option.name, value, option.wanted);
      }
      choice.options[option.name] = *given;
    }
    for (const DeclaredOption& option : registry.options()) {
      if (json.contains(option.name) && !known.contains(option.name)) {
        elsewhere[option.name] = fmt::format("{}: got {} {}, wanted {}", option.name, key,
                                             choice.name, joined_by_or(option.kinds()));
      }
    }
  }
};

template <class Visit, class AnyModel>
void stored_fields(Visit& visit, AnyModel& stored) {
  visit("model", stored.model, models());
  visit("every_step", stored.every_step, rules::flag);
}

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
  return json_document(writer.json);
}

std::string to_json(const StoredModel& stored) {
  Writer writer;
  stored_fields(writer, stored);
  return json_line(writer.json);
}

StoredModel stored_model_from_json(const std::string& text, const std::string& path) {
  const Json json = try_parse_json(text);
  Reader reader{json, path};
  if (!json.is_object()) {
    reader.fail(fmt::format("got {}, wanted the JSON object of a model", excerpt(text)));
  }
  StoredModel stored;
  stored_fields(reader, stored);
  reader.check_no_others();
  return stored;
}

Recipe recipe_from_json(const std::string& text, const std::string& path) {
  const Json json = try_parse_json(text);
  Reader reader{json, path};
  if (!json.is_object()) {
    reader.fail(fmt::format("got {}, wanted the JSON object of a run", excerpt(text)));
  }
  Recipe recipe;
  fields(reader, recipe);
  Names facts{reader.known};
  fact_fields(facts, RunFacts());
  reader.check_no_others();
  return recipe;
}

std::vector<std::string> differing_keys(const Recipe& a, const Recipe& b) {
  Writer of_a;
  Writer of_b;
  fields(of_a, a);
  fields(of_b, b);
  std::vector<std::string> keys;
  for (const auto& [key, value] : of_a.json.items()) {
    if (!of_b.json.contains(key) || value != of_b.json.at(key)) {
      keys.push_back(key);
    }
  }
  for (const auto& [key, value] : of_b.json.items()) {
    if (!of_a.json.contains(key)) {
      keys.push_back(key);
    }
  }
  return keys;
}

Registry<NamedModel> models() {
  std::vector<NamedModel> all;
  for (const ImageModel& model : image_models()) {
    all.push_back({model.name, {}});
  }
  for (const SequenceModel& model : sequence_models().all()) {
    all.push_back({model.name, model.options});
  }
  return {"model", std::move(all)};
}

bool is_image_model(const std::string& name) {
  const std::vector<std::string> names = image_model_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

void check_choices(const Recipe& recipe, const OptionNames& names) {
  models().complete(recipe.model, names);
  tasks().complete(recipe.task, names);
  const bool takes_images = is_image_model(recipe.model.name);
  std::vector<std::string> fitting;
  for (const Task& task : tasks().all()) {
    if (task.is_of_images == takes_images) {
      fitting.push_back(task.name);
    }
  }
  check<ValueError>(tasks().find(recipe.task.name).is_of_images == takes_images,
                    "{}: got {} for {}, wanted {}", names.in_front("task"), recipe.task.name,
                    escaped(recipe.model.name), joined_by_or(fitting));
  const OptionValues optimizer = optimizers().complete(recipe.optimizer, names);
  optimizers().find(recipe.optimizer.name).check_options(optimizer, names);
  const OptionValues schedule = schedules().complete(recipe.schedule, names);
  const auto lr = optimizer.find("lr");
  const ScheduledRun run{
      .lr = lr == optimizer.end() ? INFINITY : value_as<double>(lr->second).value_or(INFINITY),
      .epochs = recipe.epochs};
  schedules().find(recipe.schedule.name).check_run(schedule, run, names);
}

Schedule make_schedule(const Recipe& recipe, int64_t steps_per_epoch) {
  int64_t total = 0;
  if (__builtin_mul_overflow(recipe.epochs, steps_per_epoch, &total)) {
    total = std::numeric_limits<int64_t>::max();
  }
  if (recipe.max_steps) {
    total = std::min(total, *recipe.max_steps);
  }
  check<ValueError>(recipe.warmup_steps <= total,
                    "[train] --warmup-steps {}: the run has {} steps, wanted no more than those",
                    recipe.warmup_steps, total);
  return with_warmup(make_schedule(recipe.schedule), {.steps = recipe.warmup_steps});
}

}  // namespace warptape
