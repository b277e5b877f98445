#include "tools/train_options.h"

#include <filesystem>

#include "core/check.h"
#include "tools/declared_options.h"
#include "tools/numbers.h"
#include "training/optimizers.h"
#include "training/schedules.h"
#include "training/tasks.h"

namespace warptape::tools {
namespace {

NumberRule<double> positive() {
  return {"a number above 0", [](double v) { return v > 0; }};
}
NumberRule<double> finite() {
  return {"a finite number", [](double) { return true; }};
}
NumberRule<double> below_one() {
  return {rules::below_one.wanted, rules::below_one.accepts};
}
NumberRule<double> fraction() {
  return {"a number above 0 and below 1", [](double v) { return v > 0 && v < 1; }};
}

// The choice of one kind by name, and the flags of all.
template <class Kind>
void add_choice(CLI::App& command, const char* what, const Registry<Kind>& registry,
                Choice& choice) {
  std::string help;
  for (const Kind& kind : registry.all()) {
    help += fmt::format("{}{} ({})", help.empty() ? "" : ", ", kind.name, kind.description);
  }
  command.add_option(fmt::format("--{}", what), choice.name, help)
      ->capture_default_str()
      ->check(CLI::IsMember(registry.names()));
  add_declared_options(command, "train", what, registry, choice.options);
}

std::vector<const CLI::Option*> add_image_options(CLI::App& command, TrainOptions& o) {
  return {
      add_number_with_default(command, "--image-size", o.recipe.image_size, whole_number(4, 4096),
                              "Images are resized to this, bilinearly"),
      add_number(command, "--classes", o.classes, whole_number(2, 1 << 20),
                 "Classes of the model, for labels that no training image has [as the data have]"),
      add_number(command, "--mean", o.recipe.mean, finite(),
                 "Of pixel/255: one number or one per channel, as in 0.5,0.4,0.3 [training set's]"),
      add_number(command, "--std", o.recipe.std, positive(), "Likewise [training set's]"),
  };
}

void add_data_options(CLI::App& command, TrainOptions& o) {
  command
      .add_option("--data", o.recipe.data,
                  "Folder with CIFAR-10, CIFAR-100 (binary) or IDX files [data/digits]; of tasks "
                  "series, char and music what these read")
      ->check(not_empty());
  add_choice(command, "task", tasks(), o.recipe.task);
  o.of_images = add_image_options(command, o);
  add_number(command, "--validation", o.recipe.validation, fraction(),
             "Split this fraction off the training set; it then decides what is best");
  add_number_with_default(command, "--batch-size", o.recipe.batch_size, count());
  command.add_flag("--drop-last", o.recipe.drop_last, "Leave out a last batch that is smaller");
  command.add_flag("--no-shuffle", o.no_shuffle, "Keep the order of the rows in every epoch");
}
void add_training_options(CLI::App& command, TrainOptions& o) {
  add_number_with_default(command, "--epochs", o.recipe.epochs, count());
  add_number(command, "--max-steps", o.recipe.max_steps, count(),
             "Stop after so many steps [no limit]");
  add_number(command, "--patience", o.recipe.patience, count(),
             "Stop after so many epochs in a row without a better one [never]");
  add_choice(command, "optimizer", optimizers(), o.recipe.optimizer);
  command
      .add_option("--decay", o.recipe.decay,
                  "What --weight-decay acts on: weights (not g of weight norm, biases and norms), "
                  "or all parameters")
      ->capture_default_str()
      ->check(CLI::IsMember({"weights", "all"}));
  add_choice(command, "schedule", schedules(), o.recipe.schedule);
  add_number_with_default(command, "--warmup-steps", o.recipe.warmup_steps,
                          whole_number(0, int64_t{1} << 40),
                          "Steps of linear warm-up from lr / 10, at most those of the run");
  add_number(command, "--clip-norm", o.recipe.clip_norm, positive(),
             "Clip the norm of all gradients to this [off]");
  add_number(
      command, "--ema-decay", o.recipe.ema_decay, below_one(),
      "Keep an exponential moving average of the parameters (0.999, say), which is then what "
      "is evaluated and what last.safetensors and best.safetensors hold [off]");
}

}  // namespace

std::string shipped_digits() {
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

void add_options(CLI::App& command, TrainOptions& o) {
  add_model_option(command, o.recipe.model.name, models().names());
  add_declared_options(command, "train", "model", models(), o.recipe.model.options);
  add_data_options(command, o);
  add_training_options(command, o);
  command.add_option("--dtype", o.recipe.dtype, "float32 or float64")
      ->capture_default_str()
      ->check(CLI::IsMember({"float32", "float64"}));
  add_precision_option(command, o.recipe.precision, o.machine);
  add_number_with_default(command, "--seed", o.recipe.seed, any_whole(),
                          "Of initial weights, shuffling and the validation split");
  command.add_flag("--no-weight-norm", o.no_weight_norm, "Plain weights");
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
  CLI::Option* const graph = add_graph_option(command, o.graph);
  CLI::Option* const verbose = command.add_flag(
      "--verbose", o.verbose, "Say on standard error what is captured as graphs, and why anew");
  o.of_images.push_back(
      command
          .add_option("--data-on-device", o.data_on_device,
                      "With --device cuda: keep the pixels there (on), bring them batch by batch "
                      "(off), or keep them if they take a quarter of its memory at most (auto)")
          ->capture_default_str()
          ->check(CLI::IsMember({"auto", "on", "off"})));
  command.footer(
      "Writes config.json, metrics.csv (a row per epoch), steps.csv (a row per step),\n"
      "last.safetensors and best.safetensors (best test accuracy, or validation accuracy), and\n"
      "checkpoint.safetensors, from which --resume goes on.\n"
      "Examples:\n"
      "  warptape train simple_cnn\n"
      "  warptape train simple_cnn --data cifar-10-batches-bin --optimizer sgd --lr 0.05 \\\n"
      "      --momentum 0.9 --schedule cosine --epochs 30 --validation 0.1\n"
      "  warptape train tcn --task series --data X_TRAIN.ts --pooling mean --channels 256,256\n"
      "  warptape train tcn --task char --data book.txt --optimizer sgd --lr 4 --clip-norm 0.15\n"
      "  warptape train simple_cnn --init runs/a/best.safetensors --lr 1e-4 --out runs/b\n"
      "  warptape train --resume runs/b");
  // All else is in the folder's config.json.
  for (CLI::Option* option : command.get_options()) {
    if (option != resume && option != graph && option != verbose && !option->check_name("--help")) {
      resume->excludes(option);
    }
  }
}

void check_combinations(const TrainOptions& o) {
  const Recipe& r = o.recipe;
  check_choices(r, OptionNames::flags("train"));
  const Task& task = tasks().find(r.task.name);
  for (const CLI::Option* option : o.of_images) {
    check<ValueError>(task.is_of_images || option->count() == 0,
                      "[train] {}: got --task {}, wanted images", option->get_name(), task.name);
  }
  check<ValueError>(task.reads_data || r.data.empty(),
                    "[train] --data: got --task {}, which makes its own", task.name);
  check<ValueError>(task.wanted_data.empty() || !r.data.empty(),
                    "[train] --data: not given, wanted {} for --task {}", task.wanted_data,
                    task.name);
  check<ValueError>(!o.machine.tf32 || r.dtype == "float32",
                    "[train] {}: got --dtype {}, wanted float32", o.machine.tf32_option, r.dtype);
  check<ValueError>(r.precision == "float32" || r.dtype == "float32",
                    "[train] --precision {}: got --dtype {}, wanted float32", r.precision, r.dtype);
  check<ValueError>(!o.machine.tf32 || r.precision == "float32",
                    "[train] --tf32: got --precision {}, wanted float32", r.precision);
}

Recipe make_recipe(const TrainOptions& o, Device device) {
  check<ValueError>(device != cpu || o.data_on_device == "auto",
                    "[train] --data-on-device {}: got --device {}, wanted a GPU", o.data_on_device,
                    o.machine.device);
  Recipe r = o.recipe;
  if (tasks().find(r.task.name).reads_data) {
    // So that the run can go on from another folder.
    r.data = std::filesystem::absolute(r.data.empty() ? shipped_digits() : r.data).string();
  }
  for (const std::string& name : tasks().find(r.task.name).path_options) {
    const auto given = r.task.options.find(name);
    if (given != r.task.options.end()) {
      std::string& path = std::get<std::string>(given->second);
      path = path.empty() ? path : std::filesystem::absolute(path).string();
    }
  }
  if (r.init) {
    r.init = std::filesystem::absolute(*r.init).string();
  }
  r.num_classes = o.classes.value_or(0);
  r.weight_norm = !o.no_weight_norm;
  r.shuffle = !o.no_shuffle;
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
