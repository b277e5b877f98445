// warptape convert IN OUT

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "core/check.h"
#include "layers/weight_norm_keys.h"
#include "tools/commands.h"
#include "training/file.h"
#include "training/safetensors.h"
#include "training/torch_file.h"

namespace warptape::tools {
namespace {

struct ConvertOptions {
  std::string input;
  std::string output;
  std::string prefix;
  std::string keys = "as they are";
};

std::optional<WeightNormKeys> keys_from(const std::string& name) {
  if (name == "old") {
    return WeightNormKeys::Old;
  }
  if (name == "new") {
    return WeightNormKeys::New;
  }
  return name == "folded" ? std::optional(WeightNormKeys::Folded) : std::nullopt;
}

NamedTensors read_checkpoint(const std::string& path) {
  if (!is_torch_file(path)) {
    return load_safetensors(path);
  }
  TorchFile file = load_torch_file(path);
  std::string left_out;
  for (size_t i = 0; i < file.left_out.size() && i < 5; ++i) {
    left_out += (i == 0 ? " " : ", ") + excerpt(file.left_out[i]);
  }
  if (!file.left_out.empty()) {
    fmt::print(
        "left out, as they are no tensors:{}{}\n", left_out,
        file.left_out.size() > 5 ? fmt::format(" and {} more", file.left_out.size() - 5) : "");
  }
  return {std::move(file.tensors), {}};
}

// Those whose names begin so, without it.
StateDict below(const StateDict& state, const std::string& prefix) {
  StateDict result;
  for (const auto& [key, tensor] : state) {
    if (key.starts_with(prefix) && key.size() > prefix.size()) {
      result.emplace_back(key.substr(prefix.size()), tensor);
    }
  }
  check<ValueError>(!result.empty(), "[convert] --prefix: got {}, wanted one of {} tensors{}",
                    excerpt(prefix), state.size(),
                    state.empty() ? "" : ", the first of which is " + excerpt(state[0].first));
  return result;
}

void convert(const ConvertOptions& options) {
  check_writable(options.output, "convert");
  NamedTensors checkpoint = read_checkpoint(options.input);
  StateDict state = std::move(checkpoint.tensors);
  check<ValueError>(!state.empty(), "[convert] {}: got no tensors, wanted some",
                    escaped(options.input));
  if (!options.prefix.empty()) {
    state = below(state, options.prefix);
  }
  std::string normalised;
  if (const auto keys = keys_from(options.keys)) {
    WithWeightNormKeys converted = with_weight_norm_keys(state, *keys);
    state = std::move(converted.state);
    normalised =
        fmt::format("; {} with weight norm, now {}", converted.weights.size(), options.keys);
  }
  save_safetensors(options.output, state, checkpoint.metadata);
  fmt::print("{}: {} tensors{}\n", escaped(options.output), state.size(), normalised);
}

constexpr const char* convert_footer =
    "IN is a safetensors file, or one of plain tensors that torch.save has written (.pt, .pth, "
    ".bin); "
    "nothing in it is run.\n"
    "Tensors in dicts of dicts are named by their path: model.conv.weight. --prefix model. keeps "
    "those "
    "below one.\n"
    "Examples:\n"
    "  warptape convert generator.pt generator.safetensors --prefix generator.\n"
    "  warptape convert trained.safetensors for_inference.safetensors --weight-norm-keys folded";

}  // namespace

void add_convert_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "convert",
      "Bring a checkpoint into another form: from PyTorch's files, other keys of weight norm");
  auto options = std::make_shared<ConvertOptions>();
  command->add_option("input", options->input, "The checkpoint")->required();
  command->add_option("output", options->output, "The safetensors file to write")->required();
  command->add_option("--prefix", options->prefix,
                      "Keep the tensors whose names begin so, without it [all]");
  command
      ->add_option("--weight-norm-keys", options->keys,
                   "old: weight_g, weight_v; new: parametrizations.weight.original0, 1; folded: "
                   "weight [as they are]")
      ->check(CLI::IsMember({"old", "new", "folded"}));
  command->footer(convert_footer);
  command->callback([options] { convert(*options); });
}

}  // namespace warptape::tools
