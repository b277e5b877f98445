#include "tools/train_options.h"

#include <filesystem>

#include "models/image_models.h"
#include "tools/numbers.h"

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

// The shipped digits: where `cmake --install` puts them, beside the source that this program was
// built from, or under the current folder.
std::string default_data() {
  std::error_code unknown;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  const std::filesystem::path prefix = program.parent_path().parent_path();
  for (const std::filesystem::path& shipped :
       {prefix / "share/warptape/data/digits",
        std::filesystem::path(WARPTAPE_SOURCE_DIR "/data/digits")}) {
    if (std::filesystem::exists(shipped, unknown)) {
      return shipped.string();
    }
  }
  return "data/digits";
}

void add_data_options(CLI::App& command, TrainOptions& o) {
  command
      .add_option("--data", o.recipe.data,
                  "Folder with CIFAR-10, CIFAR-100 (binary) or IDX files [data/digits]")
      ->check(not_empty());
  add_number_with_default(command, "--image-size", o.recipe.image_size, whole_number(4, 4096),
                          "Images are resized to this, bilinearly");
  add_number(command, "--classes", o.classes, whole_number(2, 1 << 20),
             "Classes of the model, for labels that no training image has [as the data have]");
  add_number(command, "--mean", o.recipe.mean, finite(),
             "Of pixel/255: one number or one per channel, as in 0.5,0.4,0.3 [training set's]");
  add_number(command, "--std", o.recipe.std, positive(), "Likewise [training set's]");
  add_number(command, "--validation", o.recipe.validation, fraction(),
             "Split this fraction off the training set; it then decides what is best");
  add_number_with_default(command, "--batch-size", o.recipe.batch_size, count());
  command.add_flag("--drop-last", o.recipe.drop_last, "Leave out a last batch that is smaller");
  command.add_flag("--no-shuffle", o.no_shuffle, "Keep the order of the files in every epoch");
}

void add_training_options(CLI::App& command, TrainOptions& o) {
  add_number_with_default(command, "--epochs", o.recipe.epochs, count());
  add_number(command, "--max-steps", o.recipe.max_steps, count(),
             "Stop after so many steps [no limit]");
  command.add_option("--optimizer", o.recipe.optimizer.name, "sgd, adam or adamw")
      ->capture_default_str()
      ->check(CLI::IsMember(optimizer_names()));
  add_number_with_default(command, "--lr", o.recipe.optimizer.lr, not_negative(), "Learning rate");
  add_number(command, "--momentum", o.momentum, below_one(), "optimizer sgd: its momentum [0]");
  command.add_flag("--nesterov", o.recipe.optimizer.nesterov, "optimizer sgd: Nesterov momentum");
  add_number(command, "--weight-decay", o.weight_decay, not_negative(), "[0; adamw 0.01]");
  command.add_option("--schedule", o.recipe.schedule.name, "constant, step or cosine")
      ->capture_default_str()
      ->check(CLI::IsMember({"constant", "step", "cosine"}));
  add_number_with_default(command, "--warmup-steps", o.recipe.schedule.warmup_steps,
                          whole_number(0, int64_t{1} << 40),
                          "Steps of linear warm-up from lr / 10, at most those of the run");
  add_number(command, "--step-epochs", o.step_epochs, count(),
             "schedule step: epochs between drops, fewer than the run has [5]");
  add_number(command, "--gamma", o.gamma, positive(), "schedule step: factor of a drop [0.1]");
  add_number(command, "--min-lr", o.min_lr, not_negative(),
             "schedule cosine: where it ends, at most --lr [0]");
  add_number(command, "--clip-norm", o.recipe.clip_norm, positive(),
             "Clip the norm of all gradients to this [off]");
}

}  // namespace

void add_options(CLI::App& command, TrainOptions& o) {
  add_model_option(command, o.recipe.model);
  add_data_options(command, o);
  add_training_options(command, o);
  command.add_option("--dtype", o.recipe.dtype, "float32 or float64")
      ->capture_default_str()
      ->check(CLI::IsMember({"float32", "float64"}));
  add_number_with_default(command, "--seed", o.recipe.seed, any_whole(),
                          "Of initial weights, shuffling and the validation split");
  command.add_flag("--no-weight-norm", o.no_weight_norm, "Plain convolutions");
  command.add_option("--init", o.recipe.init, "Start from this safetensors checkpoint")
      ->check(not_empty());
  command.add_option("--out", o.out, "Folder for the results [runs/<model>-<time>]; must be new")
      ->check(not_empty());
  add_number_with_default(command, "--checkpoint-every", o.recipe.checkpoint_every, count(),
                          "Steps between two checkpoints: a killed run loses no more than these");
  CLI::Option* const resume =
      command
          .add_option("--resume", o.resume,
                      "Go on with the run in this folder, whose config.json has all options; it "
                      "ends with the same bits as one that never stopped")
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
      "last.safetensors and best.safetensors (best test accuracy, or validation accuracy), and\n"
      "checkpoint.safetensors, from which --resume goes on.\n"
      "Examples:\n"
      "  warptape train simple_cnn\n"
      "  warptape train simple_cnn --data cifar-10-batches-bin --optimizer sgd --lr 0.05 \\\n"
      "      --momentum 0.9 --schedule cosine --epochs 30 --validation 0.1\n"
      "  warptape train simple_cnn --init runs/a/best.safetensors --lr 1e-4 --out runs/b\n"
      "  warptape train --resume runs/b");
  // All else is in the folder's config.json.
  for (CLI::Option* option : command.get_options()) {
    if (option != resume && !option->check_name("--help")) {
      resume->excludes(option);
    }
  }
}

void check_combinations(const TrainOptions& o) {
  const Recipe& r = o.recipe;
  const auto only_with = [](bool given, const char* option, const char* chooser,
                            const std::string& got, const char* wanted) {
    check<ValueError>(!given || got == wanted, "[train] {}: got {} {}, wanted {}", option, chooser,
                      got, wanted);
  };
  const std::string& optimizer = r.optimizer.name;
  const std::string& schedule = r.schedule.name;
  only_with(o.momentum.has_value(), "--momentum", "--optimizer", optimizer, "sgd");
  only_with(r.optimizer.nesterov, "--nesterov", "--optimizer", optimizer, "sgd");
  only_with(o.step_epochs.has_value(), "--step-epochs", "--schedule", schedule, "step");
  only_with(o.gamma.has_value(), "--gamma", "--schedule", schedule, "step");
  only_with(o.min_lr.has_value(), "--min-lr", "--schedule", schedule, "cosine");
  only_with(o.machine.tf32, "--tf32", "--dtype", r.dtype, "float32");
  check<ValueError>(!o.machine.tf32 || o.machine.gpu_libraries != "off",
                    "[train] --tf32: got --gpu-libraries off, wanted the libraries that round so");
  check<ValueError>(!r.optimizer.nesterov || o.momentum.value_or(0) > 0,
                    "[train] --nesterov: got no --momentum, wanted one above 0");
  check<ValueError>(o.min_lr.value_or(0) <= r.optimizer.lr,
                    "[train] --min-lr {}: got --lr {}, wanted at least as much",
                    o.min_lr.value_or(0), r.optimizer.lr);
  const int64_t step_epochs = o.step_epochs.value_or(r.schedule.step_epochs);
  check<ValueError>(schedule != "step" || step_epochs < r.epochs,
                    "[train] --schedule step: got {} epochs between drops (--step-epochs), wanted "
                    "fewer than --epochs {}",
                    step_epochs, r.epochs);
}

Recipe make_recipe(const TrainOptions& o, Device device) {
  check<ValueError>(device != cpu || o.data_on_device == "auto",
                    "[train] --data-on-device {}: got --device {}, wanted a GPU", o.data_on_device,
                    o.machine.device);
  Recipe r = o.recipe;
  if (r.data.empty()) {
    r.data = default_data();
  }
  // So that the run can go on from another folder.
  r.data = std::filesystem::absolute(r.data).string();
  if (r.init) {
    r.init = std::filesystem::absolute(*r.init).string();
  }
  r.num_classes = o.classes.value_or(0);
  r.weight_norm = !o.no_weight_norm;
  r.shuffle = !o.no_shuffle;
  r.optimizer.momentum = o.momentum.value_or(0);
  r.optimizer.weight_decay =
      o.weight_decay.value_or(r.optimizer.name == "adamw" ? AdamW::default_weight_decay : 0);
  r.schedule.step_epochs = o.step_epochs.value_or(r.schedule.step_epochs);
  r.schedule.gamma = o.gamma.value_or(r.schedule.gamma);
  r.schedule.min_lr = o.min_lr.value_or(r.schedule.min_lr);
  r.device = to_string(device);
  if (device != cpu) {
    r.gpu_libraries = name_of(gpu_libraries());
    r.tf32 = o.machine.tf32;
    if (o.data_on_device != "auto") {
      r.data_on_device = o.data_on_device == "on";
    }
  }
  return r;
}

}  // namespace warptape::tools
