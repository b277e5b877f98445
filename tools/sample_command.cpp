// warptape sample

#include <cstdio>

#include <fmt/format.h>

#include "core/check.h"
#include "core/philox.h"
#include "core/utf8.h"
#include "models/index_stream.h"
#include "tools/commands.h"
#include "tools/end_signals.h"
#include "tools/numbers.h"
#include "tools/sequence_model.h"
#include "training/characters.h"
#include "training/permutation.h"

namespace warptape::tools {
namespace {

struct SampleOptions {
  std::string checkpoint;
  std::string prompt;
  int64_t length = 500;
  uint64_t seed = 0;
  SamplingOptions sampling;
};

// The prompt, then character by character what the model makes of it; the exit status.
int sample(const SampleOptions& options) {
  const LoadedSequenceModel model = load_sequence_model(options.checkpoint, {.who = "sample"});
  check<ValueError>(model.characters.has_value(),
                    "[sample] {}: got a checkpoint of no text, wanted one of train tcn --task char",
                    escaped(options.checkpoint));
  const Vocabulary vocabulary(model.characters->vocabulary);
  auto* const network = dynamic_cast<EmbeddedTCN*>(model.module.get());
  check<Error>(network != nullptr, "[sample] {}: got a model of another kind",
               escaped(options.checkpoint));
  const std::vector<int64_t> prompt = vocabulary.indices(options.prompt, "[sample] --prompt");
  check<ValueError>(!prompt.empty(), "[sample] --prompt: got no character, wanted one or more");
  IndexStream stream(*network);
  std::vector<double> logits;
  for (const int64_t index : prompt) {
    logits = stream.step(index);
  }
  end_in_order();
  fmt::print("{}", options.prompt);
  const RandomStream random{options.seed, stream_of(Purpose::Characters, 0)};
  for (int64_t i = 0; i < options.length && end_signal() == 0; ++i) {
    const int64_t index =
        sample_index(logits, random.uniform(static_cast<uint64_t>(i)), options.sampling);
    fmt::print("{}", to_utf8(vocabulary.codes()[static_cast<size_t>(index)]));
    std::fflush(stdout);
    logits = stream.step(index);
  }
  fmt::print("\n");
  return end_signal() == 0 ? 0 : 128 + end_signal();
}

}  // namespace

void add_sample_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "sample", "Write a text, character by character, by a TCN of train tcn --task char");
  auto options = std::make_shared<SampleOptions>();
  command
      ->add_option("--checkpoint", options->checkpoint,
                   "A safetensors file of train tcn --task char")
      ->required()
      ->check(not_empty());
  command->add_option("--prompt", options->prompt, "How the text begins: one character or more")
      ->required();
  add_number_with_default(*command, "--length", options->length, whole_number(0, int64_t{1} << 40),
                          "Characters to write behind it");
  add_number_with_default(
      *command, "--temperature", options->sampling.temperature,
      NumberRule<double>{"a number of 0 or more", [](double v) { return v >= 0; }},
      "Logits are divided by this; 0: the likeliest character always");
  add_number_with_default(*command, "--top-k", options->sampling.top_k,
                          whole_number(0, int64_t{1} << 21),
                          "Of so many likeliest characters; 0: of all");
  add_number_with_default(*command, "--seed", options->seed, any_whole(), "Of the choices");
  command->footer(
      "Each character costs the same, however long the text is: the model goes on step by step.\n"
      "Example:\n"
      "  warptape sample --checkpoint runs/text/best.safetensors --prompt \"The \" --length 200");
  command->callback([options] {
    const int status = sample(*options);
    if (status != 0) {
      throw CLI::RuntimeError(status);
    }
  });
}

}  // namespace warptape::tools
