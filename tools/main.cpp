// warptape: trains, measures and profiles models. Exit status: 0, 1 for a failure (one line on
// standard error), 2 for wrong usage, 128 and the signal for what a signal ended in order.

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "core/error.h"
#include "tools/commands.h"
#include "tools/end_signals.h"
#include "tools/terminal.h"

namespace {

// Wrong usage, in one line: CLI11 repeats what was typed.
int refuse_usage(const std::string& message) {
  std::fprintf(stderr, "warptape: %s\nRun with --help for more information.\n",
               warptape::escaped(message).c_str());
  return 2;
}

// To CLI11 "--seed= 5" is the same as "--seed 5", and "--seed=" takes the word that follows.
void check_values(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      return;
    }
    if (word.starts_with("--") && word.find('=') == word.size() - 1) {
      throw CLI::ArgumentMismatch(std::string(word) + " got nothing, wanted a value");
    }
  }
}

// A flag has no value: --tf32=0 would be read as a number, by CLI11's rules.
void refuse_flag_values(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option->get_expected_max() == 0) {
      option->disable_flag_override();
    }
  }
  for (CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    refuse_flag_values(*sub);
  }
}

}  // namespace

int main(int argc, char** argv) {
  warptape::tools::open_standard_streams();
  warptape::tools::receive_end_signals();
  CLI::App program("Warptape: train, use and measure deep learning models.");
  program.name("warptape");
  program.set_version_flag("--version", "warptape " + warptape::tools::version());
  program.require_subcommand(1);
  program.fallthrough(false);
  program.footer(
      "Examples:\n"
      "  warptape train simple_cnn                          train on the digits that ship with it\n"
      "  warptape train simple_cnn --data cifar-10-batches-bin --epochs 30\n"
      "  warptape predict simple_cnn --checkpoint runs/a/best.safetensors \\\n"
      "      --input X.npy --output Y.npy\n"
      "  warptape train tcn --task sequence                 the digits, read pixel by pixel\n"
      "  warptape inspect tcn --kernel-size 7 --length 784  what its outputs see\n"
      "  warptape bench step simple_cnn --threads 1\n"
      "  warptape profile simple_cnn --html profile.html    where a training step spends its time\n"
      "  warptape COMMAND --help                            all options of a command");
  warptape::tools::add_train_command(program);
  warptape::tools::add_predict_command(program);
  warptape::tools::add_inspect_command(program);
  warptape::tools::add_stream_command(program);
  warptape::tools::add_sample_command(program);
  warptape::tools::add_forecast_command(program);
  warptape::tools::add_study_command(program);
  warptape::tools::add_convert_command(program);
  warptape::tools::add_bench_command(program);
  warptape::tools::add_kernel_command(program);
  warptape::tools::add_profile_command(program);
  warptape::tools::add_info_command(program);
  refuse_flag_values(program);
  // A file-size limit then shows as a failed write, which has a message and leaves nothing
  // half-written.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    check_values(argc, argv);
    program.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return program.exit(success);
  } catch (const CLI::RuntimeError& status) {  // a command's own exit status
    return status.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return refuse_usage(error.what());
  } catch (const warptape::Error& error) {
    std::fprintf(stderr, "warptape: %s\n", error.what());
    const int signal = warptape::tools::end_signal();
    return signal == 0 ? 1 : 128 + signal;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "warptape: out of memory\n");
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "warptape: unexpected: %s\n", warptape::escaped(error.what()).c_str());
    return 1;
  }
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    std::fprintf(stderr, "warptape: standard output cannot be written\n");
    return 1;
  }
  return 0;
}
