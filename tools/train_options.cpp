#include "tools/train_options.h"

#include <algorithm>
#include <limits>

namespace warptape::tools {
namespace {

NumberRule<double> positive() {
  return {"a number above 0", [](double v) { return v > 0; }};
}
NumberRule<double> not_negative() {
  return {"a number of 0 or more", [](double v) { return v >= 0; }};
}
NumberRule<double> finite() {
  return {"a finite number", [](double) { return true; }};
}
NumberRule<double> fraction() {
  return {"a number above 0 and below 1", [](double v) { return v > 0 && v < 1; }};
}
NumberRule<double> below_one() {
  return {"a number from 0 to below 1", [](double v) { return v >= 0 && v < 1; }};
}

void add_data_options(CLI::App& command, TrainOptions& o) {
  command
      .add_option("--data", o.data,
                  "Folder with CIFAR-10, CIFAR-100 (binary) or IDX files [data/digits]")
      ->check(not_empty());
  add_number_with_default(command, "--image-size", o.image_size, whole_number(4, 4096),
                          "Images are resized to this, bilinearly");
  add_number(command, "--classes", o.classes, whole_number(2, 1 << 20),
             "Classes of the model, for labels that no training image has [as the data have]");
  add_number(command, "--mean", o.mean, finite(),
             "Of pixel/255: one number or one per channel, as in 0.5,0.4,0.3 [training set's]");
  add_number(command, "--std", o.std, positive(), "Likewise [training set's]");
  add_number(command, "--validation", o.validation, fraction(),
             "Split this fraction off the training set; it then decides what is best");
  add_number_with_default(command, "--batch-size", o.batch_size, count());
  command.add_flag("--drop-last", o.drop_last, "Leave out a last batch that is smaller");
  command.add_flag("--no-shuffle", o.no_shuffle, "Keep the order of the files in every epoch");
}

void add_training_options(CLI::App& command, TrainOptions& o) {
  add_number_with_default(command, "--epochs", o.epochs, count());
  add_number(command, "--max-steps", o.max_steps, count(), "Stop after so many steps [no limit]");
  command.add_option("--optimizer", o.optimizer, "sgd, adam or adamw")
      ->capture_default_str()
      ->check(CLI::IsMember({"sgd", "adam", "adamw"}));
  add_number_with_default(command, "--lr", o.lr, not_negative(), "Learning rate");
  add_number(command, "--momentum", o.momentum, below_one(), "optimizer sgd: its momentum [0]");
  command.add_flag("--nesterov", o.nesterov, "optimizer sgd: Nesterov momentum");
  add_number(command, "--weight-decay", o.weight_decay, not_negative(), "[0; adamw 0.01]");
  command.add_option("--schedule", o.schedule, "constant, step or cosine")
      ->capture_default_str()
      ->check(CLI::IsMember({"constant", "step", "cosine"}));
  add_number_with_default(command, "--warmup-steps", o.warmup_steps,
                          whole_number(0, int64_t{1} << 40),
                          "Steps of linear warm-up from lr / 10, at most those of the run");
  add_number(command, "--step-epochs", o.step_epochs, count(),
             "schedule step: epochs between drops, fewer than the run has [5]");
  add_number(command, "--gamma", o.gamma, positive(), "schedule step: factor of a drop [0.1]");
  add_number(command, "--min-lr", o.min_lr, not_negative(),
             "schedule cosine: where it ends, at most --lr [0]");
  add_number(command, "--clip-norm", o.clip_norm, positive(),
             "Clip the norm of all gradients to this [off]");
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
  add_number_with_default(command, "--seed", o.seed, any_whole(),
                          "Of initial weights, shuffling and the validation split");
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

void check_combinations(const TrainOptions& o) {
  const auto only_with = [](bool given, const char* option, const char* chooser,
                            const std::string& got, const char* wanted) {
    check<ValueError>(!given || got == wanted, "[train] {}: got {} {}, wanted {}", option, chooser,
                      got, wanted);
  };
  only_with(o.momentum.has_value(), "--momentum", "--optimizer", o.optimizer, "sgd");
  only_with(o.nesterov, "--nesterov", "--optimizer", o.optimizer, "sgd");
  only_with(o.step_epochs.has_value(), "--step-epochs", "--schedule", o.schedule, "step");
  only_with(o.gamma.has_value(), "--gamma", "--schedule", o.schedule, "step");
  only_with(o.min_lr.has_value(), "--min-lr", "--schedule", o.schedule, "cosine");
  only_with(o.machine.tf32, "--tf32", "--dtype", o.dtype, "float32");
  check<ValueError>(!o.machine.tf32 || o.machine.gpu_libraries != "off",
                    "[train] --tf32: got --gpu-libraries off, wanted the libraries that round so");
  check<ValueError>(!o.nesterov || momentum(o) > 0,
                    "[train] --nesterov: got no --momentum, wanted one above 0");
  check<ValueError>(min_lr(o) <= o.lr, "[train] --min-lr {}: got --lr {}, wanted at least as much",
                    min_lr(o), o.lr);
  check<ValueError>(o.schedule != "step" || step_epochs(o) < o.epochs,
                    "[train] --schedule step: got {} epochs between drops (--step-epochs), wanted "
                    "fewer than --epochs {}",
                    step_epochs(o), o.epochs);
}

double weight_decay(const TrainOptions& o) {
  return o.weight_decay.value_or(o.optimizer == "adamw" ? AdamW::default_weight_decay : 0);
}
double momentum(const TrainOptions& o) {
  return o.momentum.value_or(0);
}
int64_t step_epochs(const TrainOptions& o) {
  return o.step_epochs.value_or(5);
}
double gamma(const TrainOptions& o) {
  return o.gamma.value_or(ScheduleOptions{}.gamma);
}
double min_lr(const TrainOptions& o) {
  return o.min_lr.value_or(ScheduleOptions{}.min_lr);
}

std::unique_ptr<Optimizer> make_optimizer(const TrainOptions& o, ParameterStates parameters) {
  const double decay = weight_decay(o);
  if (o.optimizer == "sgd") {
    return std::make_unique<SGD>(
        std::move(parameters),
        SGD::Options{
            .lr = o.lr, .momentum = momentum(o), .weight_decay = decay, .nesterov = o.nesterov});
  }
  if (o.optimizer == "adam") {
    return std::make_unique<Adam>(std::move(parameters),
                                  Adam::Options{.lr = o.lr, .weight_decay = decay});
  }
  return std::make_unique<AdamW>(std::move(parameters),
                                 AdamW::Options{.lr = o.lr, .weight_decay = decay});
}

ScheduleOptions make_schedule(const TrainOptions& o, int64_t steps_per_epoch) {
  const auto steps_of = [&](int64_t epochs) {
    int64_t steps = 0;
    const bool overflows = __builtin_mul_overflow(epochs, steps_per_epoch, &steps);
    return overflows ? std::numeric_limits<int64_t>::max() : steps;
  };
  int64_t total = steps_of(o.epochs);
  if (o.max_steps > 0) {
    total = std::min(total, o.max_steps);
  }
  check<ValueError>(o.warmup_steps <= total,
                    "[train] --warmup-steps {}: the run has {} steps, wanted no more than those",
                    o.warmup_steps, total);
  return {.kind = parse_schedule(o.schedule),
          .step_size = steps_of(step_epochs(o)),
          .gamma = gamma(o),
          .total_steps = std::max<int64_t>(1, total - o.warmup_steps),
          .min_lr = min_lr(o),
          .warmup_steps = o.warmup_steps};
}

}  // namespace warptape::tools
