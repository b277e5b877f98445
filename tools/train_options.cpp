#include "tools/train_options.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>

namespace warptape::tools {
namespace {

// CLI11 reads "nan" and "inf" as numbers; a validator for what an option really takes.
CLI::Validator number(const char* wanted, bool (*accepts)(double)) {
  return CLI::Validator(
      [wanted, accepts](std::string& text) {
        double value = 0;
        const bool read = CLI::detail::lexical_cast(text, value);
        return read && std::isfinite(value) && accepts(value)
                   ? std::string()
                   : "got " + text + ", wanted " + wanted;
      },
      wanted);
}

const CLI::Validator positive = number("a number above 0", [](double v) { return v > 0; });
const CLI::Validator not_negative =
    number("a number of 0 or more", [](double v) { return v >= 0; });
const CLI::Validator finite = number("a finite number", [](double) { return true; });
const CLI::Validator fraction =
    number("a number above 0 and below 1", [](double v) { return v > 0 && v < 1; });
const CLI::Validator below_one =
    number("a number from 0 to below 1", [](double v) { return v >= 0 && v < 1; });
// CLI11 takes "-1" and what is too large for an unsigned number.
const CLI::Validator whole = CLI::Validator(
    [](std::string& text) {
      const bool digits =
          !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
      errno = 0;
      std::strtoull(text.c_str(), nullptr, 10);
      return digits && errno == 0 ? std::string()
                                  : "got " + text + ", wanted a whole number of 0 to 2^64 - 1";
    },
    "a whole number of 0 or more");
const CLI::Validator count = CLI::Range(int64_t{1}, int64_t{1} << 40);

void add_data_options(CLI::App& command, TrainOptions& o) {
  command
      .add_option("--data", o.data,
                  "Folder with CIFAR-10, CIFAR-100 (binary) or IDX files [data/digits]")
      ->check(not_empty());
  command.add_option("--image-size", o.image_size, "Images are resized to this, bilinearly")
      ->capture_default_str()
      ->check(CLI::Range(4, 4096));
  command
      .add_option("--mean", o.mean, "Of pixel/255: one number or one per channel [training set's]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(finite);
  command.add_option("--std", o.std, "Likewise [training set's]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(positive);
  command
      .add_option("--validation", o.validation,
                  "Split this fraction off the training set; it then decides what is best")
      ->check(fraction);
  command.add_option("--batch-size", o.batch_size)->capture_default_str()->check(count);
  command.add_flag("--drop-last", o.drop_last, "Leave out a last batch that is smaller");
  command.add_flag("--no-shuffle", o.no_shuffle, "Keep the order of the files in every epoch");
}

void add_training_options(CLI::App& command, TrainOptions& o) {
  command.add_option("--epochs", o.epochs)->capture_default_str()->check(count);
  command.add_option("--max-steps", o.max_steps, "Stop after so many steps [no limit]")
      ->check(count);
  command.add_option("--optimizer", o.optimizer, "sgd, adam or adamw")
      ->capture_default_str()
      ->check(CLI::IsMember({"sgd", "adam", "adamw"}));
  command.add_option("--lr", o.lr, "Learning rate")->capture_default_str()->check(not_negative);
  command.add_option("--momentum", o.momentum, "Of sgd")->capture_default_str()->check(below_one);
  command.add_flag("--nesterov", o.nesterov, "Nesterov momentum of sgd");
  command.add_option("--weight-decay", o.weight_decay, "[0; adamw 0.01]")->check(not_negative);
  command.add_option("--schedule", o.schedule, "constant, step or cosine")
      ->capture_default_str()
      ->check(CLI::IsMember({"constant", "step", "cosine"}));
  command.add_option("--warmup-steps", o.warmup_steps, "Steps of linear warm-up from lr / 10")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  command.add_option("--step-epochs", o.step_epochs, "schedule step: epochs between drops")
      ->capture_default_str()
      ->check(count);
  command.add_option("--gamma", o.gamma, "schedule step: factor of a drop")
      ->capture_default_str()
      ->check(positive);
  command.add_option("--min-lr", o.min_lr, "schedule cosine: where it ends")
      ->capture_default_str()
      ->check(not_negative);
  command.add_option("--clip-norm", o.clip_norm, "Clip the norm of all gradients to this [off]")
      ->check(positive);
}

}  // namespace

void add_options(CLI::App& command, TrainOptions& o) {
  command.add_option("model", o.model, "simple_cnn")
      ->required()
      ->check(CLI::IsMember({"simple_cnn"}));
  add_data_options(command, o);
  add_training_options(command, o);
  command.add_option("--dtype", o.dtype, "float32 or float64")
      ->capture_default_str()
      ->check(CLI::IsMember({"float32", "float64"}));
  command.add_option("--seed", o.seed, "Of initial weights, shuffling and the validation split")
      ->capture_default_str()
      ->check(whole);
  command.add_flag("--no-weight-norm", o.no_weight_norm, "Plain convolutions");
  command.add_option("--init", o.init, "Start from this safetensors checkpoint")
      ->check(not_empty());
  command.add_option("--out", o.out, "Folder for the results [runs/<model>-<time>]; must be new")
      ->check(not_empty());
  add_machine_options(command, o.machine);
  command
      .add_option("--data-on-device", o.data_on_device,
                  "With --device cuda: keep the pixels there (on), bring them batch by batch "
                  "(off), or keep them if they take a quarter of its memory at most (auto)")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "on", "off"}));
  command.footer(
      "Writes config.json, metrics.csv (a row per epoch), steps.csv (a row per step),\n"
      "last.safetensors and best.safetensors (best test accuracy, or validation accuracy).\n"
      "Examples:\n"
      "  warptape train simple_cnn\n"
      "  warptape train simple_cnn --data cifar-10-batches-bin --optimizer sgd --lr 0.05 \\\n"
      "      --momentum 0.9 --schedule cosine --epochs 30 --validation 0.1\n"
      "  warptape train simple_cnn --init runs/a/best.safetensors --lr 1e-4 --out runs/b");
}

double weight_decay(const TrainOptions& o) {
  return o.weight_decay.value_or(o.optimizer == "adamw" ? AdamW::default_weight_decay : 0);
}

std::unique_ptr<Optimizer> make_optimizer(const TrainOptions& o, ParameterStates parameters) {
  const double decay = weight_decay(o);
  if (o.optimizer == "sgd") {
    return std::make_unique<SGD>(
        std::move(parameters),
        SGD::Options{
            .lr = o.lr, .momentum = o.momentum, .weight_decay = decay, .nesterov = o.nesterov});
  }
  if (o.optimizer == "adam") {
    return std::make_unique<Adam>(std::move(parameters),
                                  Adam::Options{.lr = o.lr, .weight_decay = decay});
  }
  return std::make_unique<AdamW>(std::move(parameters),
                                 AdamW::Options{.lr = o.lr, .weight_decay = decay});
}

ScheduleOptions make_schedule(const TrainOptions& o, int64_t steps_per_epoch) {
  int64_t total = o.epochs * steps_per_epoch;
  if (o.max_steps > 0) {
    total = std::min(total, o.max_steps);
  }
  return {.kind = parse_schedule(o.schedule),
          .step_size = o.step_epochs * steps_per_epoch,
          .gamma = o.gamma,
          .total_steps = std::max<int64_t>(1, total - o.warmup_steps),
          .min_lr = o.min_lr,
          .warmup_steps = o.warmup_steps};
}

}  // namespace warptape::tools
