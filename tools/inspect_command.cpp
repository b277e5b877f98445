// warptape inspect MODEL

#include <algorithm>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

#include "core/check.h"
#include "models/impulse_test.h"
#include "models/receptive_field.h"
#include "models/sequence_models.h"
#include "tools/commands.h"
#include "tools/declared_options.h"
#include "tools/numbers.h"
#include "tools/sequence_model.h"
#include "training/json_text.h"

namespace warptape::tools {
namespace {

struct InspectOptions {
  Choice model;
  std::string checkpoint;
  std::optional<int64_t> length;
  bool impulse = false;
  bool json = false;
  bool no_weight_norm = false;
  int64_t input_channels = 1;
  int64_t output_size = 1;
};

// Elements of the sequence on which the impulse test is run; a longer one would take minutes.
constexpr int64_t longest_test = int64_t{1} << 16;

struct Inspected {
  SequenceModelOptions general;
  OptionValues own;
  std::unique_ptr<Module> model;
  std::string task = {};  // of a checkpoint that says one
};

Inspected make_model(const InspectOptions& options) {
  const SequenceModel& model = sequence_models().find(options.model.name);
  Inspected made;
  if (options.checkpoint.empty()) {
    made.own = sequence_models().complete(options.model, OptionNames::flags("inspect"));
    made.general = {.input_channels = options.input_channels,
                    .output_size = options.output_size,
                    .weight_norm = !options.no_weight_norm};
    made.model = model.make(made.general, made.own);
    return made;
  }
  LoadedSequenceModel loaded = load_sequence_model(
      options.checkpoint,
      {.who = "inspect", .model = options.model.name, .own = options.model.options});
  return {.general = loaded.general,
          .own = loaded.own,
          .model = std::move(loaded.module),
          .task = loaded.task()};
}

// The model once more, in the form that the impulse test wants.
std::vector<int64_t> run_impulse_test(const InspectOptions& options, const Inspected& inspected,
                                      int64_t length, int64_t t) {
  check<ValueError>(length <= longest_test,
                    "[inspect] --impulse: got a sequence of {} steps, wanted at most {}", length,
                    longest_test);
  SequenceModelOptions general = inspected.general;
  general.every_step = true;
  general.dtype = float64;
  general.indices.reset();  // what they are embedded in has the gradient
  const auto model = sequence_models().find(options.model.name).make(general, inspected.own);
  return impulse_test(*model, general.input_channels, length, t);
}

nlohmann::ordered_json coverage_json(int64_t t, int64_t length, const SeenOfSequence& seen) {
  const Coverage covered = coverage_of(t, length, seen.receptive_field, seen.look_ahead);
  return {{"output", t}, {"elements", covered.elements}, {"padding", covered.padding}};
}

// Powers of two, the last outputs that see padding, and the end.
std::vector<int64_t> outputs_to_show(int64_t length, const SeenOfSequence& seen) {
  std::vector<int64_t> shown{0};
  for (int64_t t = 1; t < length - 1; t *= 4) {
    shown.push_back(t);
  }
  shown.push_back(seen.receptive_field - 1 - seen.look_ahead);
  shown.push_back(length - 1 - seen.look_ahead);
  shown.push_back(length - 1);
  shown.erase(
      std::remove_if(shown.begin(), shown.end(), [&](int64_t t) { return t < 0 || t >= length; }),
      shown.end());
  std::sort(shown.begin(), shown.end());
  shown.erase(std::unique(shown.begin(), shown.end()), shown.end());
  return shown;
}

nlohmann::ordered_json inspect_to_json(const InspectOptions& options, const Inspected& inspected) {
  const SequenceModel& model = sequence_models().find(options.model.name);
  const SeenOfSequence seen = model.seen(inspected.own);
  nlohmann::ordered_json json{{"model", model.name},
                              {"parameters", count_parameters(*inspected.model)},
                              {"receptive_field", seen.receptive_field},
                              {"look_ahead", seen.look_ahead}};
  if (!inspected.task.empty()) {
    json["task"] = inspected.task;
  }
  if (options.length) {
    const int64_t length = *options.length;
    json["length"] = length;
    json["is_covered"] = seen.receptive_field - seen.look_ahead >= length;
    const std::optional<int64_t> depth = model.least_depth(inspected.own, length);
    json["least_depth"] = depth ? nlohmann::ordered_json(*depth) : nullptr;
    for (const int64_t t : outputs_to_show(length, seen)) {
      json["coverage"].push_back(coverage_json(t, length, seen));
    }
  }
  if (options.impulse) {
    const int64_t length = options.length.value_or(seen.receptive_field + seen.look_ahead);
    // The last output that has all of its look-ahead.
    const int64_t t = std::max<int64_t>(0, length - 1 - seen.look_ahead);
    const std::vector<int64_t> found = run_impulse_test(options, inspected, length, t);
    const Coverage wanted = coverage_of(t, length, seen.receptive_field, seen.look_ahead);
    json["impulse_test"] = {{"length", length},
                            {"output", t},
                            {"first", found.empty() ? -1 : found.front()},
                            {"last", found.empty() ? -1 : found.back()},
                            {"reach_it", found.size()},
                            {"computed", wanted.elements}};
  }
  return json;
}

void print_for_people(const nlohmann::ordered_json& json, const Inspected& inspected) {
  fmt::print("{}\n{} parameters\n", to_string(*inspected.model), json_line(json.at("parameters")));
  if (!inspected.task.empty()) {
    fmt::print("of {}\n", inspected.task);
  }
  fmt::print("receptive field: {} steps of the sequence", json_line(json.at("receptive_field")));
  const auto ahead = json.at("look_ahead").get<int64_t>();
  fmt::print("{}\n", ahead == 0 ? ", none after the output's own"
                                : fmt::format(", {} of them after the output's own", ahead));
  if (json.contains("length")) {
    const bool is_covered = json.at("is_covered").get<bool>();
    fmt::print("a sequence of {} steps is {}seen whole by its last output\n",
               json_line(json.at("length")), is_covered ? "" : "not ");
    if (!json.at("least_depth").is_null()) {
      fmt::print("the least depth that covers it, with these kernels: {} block{}\n",
                 json_line(json.at("least_depth")), json.at("least_depth") == 1 ? "" : "s");
    }
    fmt::print("{:>10}  {:>10}  {:>10}\n", "output", "sees steps", "and zeros");
    for (const auto& row : json.at("coverage")) {
      fmt::print("{:>10}  {:>10}  {:>10}\n", json_line(row.at("output")),
                 json_line(row.at("elements")), json_line(row.at("padding")));
    }
  }
  if (json.contains("impulse_test")) {
    const auto& test = json.at("impulse_test");
    fmt::print("impulse test: of {} steps, {} reach output {}, from {} to {}; computed: {}\n",
               json_line(test.at("length")), json_line(test.at("reach_it")),
               json_line(test.at("output")), json_line(test.at("first")),
               json_line(test.at("last")), json_line(test.at("computed")));
  }
}

void inspect(const InspectOptions& options) {
  const Inspected inspected = make_model(options);
  const nlohmann::ordered_json json = inspect_to_json(options, inspected);
  if (options.json) {
    fmt::print("{}", json_document(json));
  } else {
    print_for_people(json, inspected);
  }
}

}  // namespace

void add_inspect_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "inspect", "A model of sequences: its layers, and what an output sees of the sequence");
  auto options = std::make_shared<InspectOptions>();
  add_model_option(*command, options->model.name, sequence_models().names())->required();
  add_declared_options(*command, "inspect", "model", sequence_models(), options->model.options);
  CLI::Option* checkpoint =
      command
          ->add_option("--checkpoint", options->checkpoint,
                       "A safetensors file, which tells channels, kernel sizes, and what its "
                       "metadata have")
          ->check(not_empty());
  const auto up_to_2_40 = count();
  const auto channels = whole_number(1, 1 << 20);
  add_number_with_default(*command, "--input-channels", options->input_channels, channels,
                          "Without a checkpoint")
      ->excludes(checkpoint);
  add_number_with_default(*command, "--output-size", options->output_size, channels,
                          "Without a checkpoint")
      ->excludes(checkpoint);
  command->add_flag("--no-weight-norm", options->no_weight_norm, "Plain weights")
      ->excludes(checkpoint);
  add_number(*command, "--length", options->length, up_to_2_40,
             "Of a sequence: whether it is seen whole, the least depth, and what outputs see");
  command->add_flag("--impulse", options->impulse,
                    "Try it: which steps of a sequence of that length reach an output");
  command->add_flag("--json", options->json, "Print a JSON object");
  command->footer(
      "Examples:\n"
      "  warptape inspect tcn --channels 25,25,25,25 --kernel-size 7 --length 784\n"
      "  warptape inspect tcn --checkpoint runs/a/best.safetensors --impulse");
  command->callback([options] { inspect(*options); });
}

}  // namespace warptape::tools
