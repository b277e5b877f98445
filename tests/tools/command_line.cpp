#include "tests/tools/command_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>

namespace warptape {
namespace {

constexpr auto time_limit = std::chrono::seconds(60);

std::string joined(const Arguments& arguments) {
  return fmt::format("warptape {}", fmt::join(arguments, " "));
}

void throw_unless_zero(int code, const char* what) {
  if (code != 0) {
    throw std::system_error(code, std::generic_category(), what);
  }
}

// This process's environment, in which a sanitizer's report ends the program with a status that is
// none of its own (they would end it with 1), and in which models run on the CPU unless they are
// asked to run on "cuda".
std::vector<std::string> make_environment(const Arguments& arguments) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    result.emplace_back(*entry);
  }
  for (const std::string name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    const char* present = std::getenv(name.c_str());
    std::erase_if(result, [&](const std::string& entry) { return entry.starts_with(name + "="); });
    result.push_back(name + "=" + (present != nullptr ? present + std::string(":") : "") +
                     "exitcode=99");
  }
  const bool is_for_cuda = std::find(arguments.begin(), arguments.end(), "cuda") != arguments.end();
  if (!is_for_cuda && arguments != Arguments{"info"}) {
    std::erase_if(result, [](const std::string& entry) {
      return entry.starts_with("CUDA_VISIBLE_DEVICES=");
    });
    result.emplace_back("CUDA_VISIBLE_DEVICES=");
  }
  return result;
}

std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) {
    result.push_back(text.data());
  }
  result.push_back(nullptr);
  return result;
}

// What the child does to its descriptors before it becomes the program.
class FileActions {
 public:
  FileActions() { throw_unless_zero(posix_spawn_file_actions_init(&actions_), "file_actions"); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void open(int descriptor, const std::string& path) {
    const int flags = descriptor == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY;
    posix_spawn_file_actions_addopen(&actions_, descriptor, path.c_str(), flags, 0600);
  }
  void close(int descriptor) { posix_spawn_file_actions_addclose(&actions_, descriptor); }
  void change_folder(const std::string& path) {
    posix_spawn_file_actions_addchdir_np(&actions_, path.c_str());
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// Where the two other standard streams go is in `out` and `err`.
pid_t spawn(const Arguments& arguments, const std::string& folder, const std::string& out,
            const std::string& err, const std::vector<int>& closed = {},
            const std::string& in = "/dev/null") {
  std::vector<std::string> words = Arguments{WARPTAPE_PROGRAM} + arguments;
  std::vector<std::string> environment = make_environment(arguments);
  FileActions actions;
  actions.open(0, in);
  actions.open(1, out);
  actions.open(2, err);
  for (const int descriptor : closed) {
    actions.close(descriptor);
  }
  if (!folder.empty()) {
    actions.change_folder(folder);
  }
  pid_t child = 0;
  throw_unless_zero(posix_spawn(&child, WARPTAPE_PROGRAM, actions.get(), nullptr,
                                pointers_to(words).data(), pointers_to(environment).data()),
                    WARPTAPE_PROGRAM);
  return child;
}

// A terminal as a program sees it. What is written to it comes out of `master` unchanged.
class PseudoTerminal {
 public:
  explicit PseudoTerminal(unsigned short columns) : master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) {
      throw std::system_error(errno, std::generic_category(), "posix_openpt");
    }
    path_ = ptsname(master_);
    // Held open, so that what the program has written is not lost with it.
    slave_ = ::open(path_.c_str(), O_RDWR | O_NOCTTY);
    termios mode{};
    tcgetattr(slave_, &mode);
    cfmakeraw(&mode);
    tcsetattr(slave_, TCSANOW, &mode);
    winsize size{};
    size.ws_col = columns;
    size.ws_row = 24;
    ioctl(slave_, TIOCSWINSZ, &size);
    fcntl(master_, F_SETFL, O_NONBLOCK);
  }
  ~PseudoTerminal() {
    ::close(slave_);
    ::close(master_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  const std::string& path() const { return path_; }
  // What is there.
  std::string read() const {
    std::string text;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(master_, buffer, sizeof(buffer))) > 0;) {
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }

 private:
  int master_;
  int slave_ = -1;
  std::string path_;
};

// waitpid's status; the child is killed at the time limit. `meanwhile` is called now and then.
int wait_for(
    pid_t child, const std::function<void()>& meanwhile = [] {}) {
  const auto deadline = std::chrono::steady_clock::now() + time_limit;
  int status = 0;
  while (true) {
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) {
      return status;
    }
    if (ended < 0 && errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "waitpid");
    }
    if (std::chrono::steady_clock::now() > deadline) {
      kill(child, SIGKILL);
    }
    meanwhile();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

CommandResult result_of(const Arguments& arguments, int ended, const std::string& out,
                        const std::string& err) {
  CommandResult result;
  result.status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  result.out = out;
  result.err = err;
  EXPECT_TRUE(WIFEXITED(ended)) << joined(arguments) << "\nended by signal "
                                << (WIFSIGNALED(ended) ? WTERMSIG(ended) : 0) << "\n"
                                << result.err;
  for (const char* report : {"AddressSanitizer", "LeakSanitizer", "runtime error:"}) {
    EXPECT_EQ(result.err.find(report), std::string::npos) << joined(arguments) << "\n"
                                                          << result.err;
  }
  return result;
}

void expect_parts(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
  }
}

}  // namespace

RunningProgram::RunningProgram(const Arguments& arguments, const std::string& folder,
                               const std::vector<int>& closed, const std::string& input,
                               const std::string& input_path)
    : arguments_(arguments),
      streams_(std::make_unique<TemporaryFolder>()),
      child_(spawn(arguments, folder, streams_->path("out"), streams_->path("err"), closed,
                   input_path.empty() ? streams_->write("in", input) : input_path)) {}

RunningProgram::~RunningProgram() {
  if (child_ != 0) {
    kill(child_, SIGKILL);
    wait_for(child_);
  }
}

void RunningProgram::send(int signal) const {
  kill(child_, signal);
}

CommandResult RunningProgram::wait() {
  const int ended = wait_for(std::exchange(child_, 0));
  return result_of(arguments_, ended, streams_->read("out"), streams_->read("err"));
}

int RunningProgram::wait_for_signal() {
  const int ended = wait_for(std::exchange(child_, 0));
  return WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
}

int RunningProgram::wait_for_status() {
  const int ended = wait_for(std::exchange(child_, 0));
  return WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
}

std::string RunningProgram::errors() const {
  return streams_->read("err");
}

CommandResult run_program(const Arguments& arguments, const std::string& folder) {
  return RunningProgram(arguments, folder).wait();
}

CommandResult run_with_input(const Arguments& arguments, const std::string& input) {
  return RunningProgram(arguments, "", {}, input).wait();
}

CommandResult run_on_terminal(const Arguments& arguments, unsigned short columns,
                              const std::string& folder) {
  const TemporaryFolder streams;
  const PseudoTerminal terminal(columns);
  std::string out;
  const auto read = [&] { out += terminal.read(); };
  const int ended = wait_for(spawn(arguments, folder, terminal.path(), streams.path("err")), read);
  read();
  return result_of(arguments, ended, out, streams.read("err"));
}

CommandResult expect_runs(const Arguments& arguments, const std::string& folder) {
  CommandResult result = run_program(arguments, folder);
  EXPECT_EQ(result.status, 0) << joined(arguments) << "\n" << result.err;
  EXPECT_EQ(result.err, "") << joined(arguments);
  return result;
}

void expect_fails(const Arguments& arguments, const std::vector<std::string>& parts,
                  const std::string& folder) {
  SCOPED_TRACE(joined(arguments));
  const CommandResult result = run_program(arguments, folder);
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(result.err.starts_with("warptape: ")) << result.err;
  EXPECT_EQ(result.err.find("warptape: unexpected: "), std::string::npos) << result.err;
  EXPECT_LT(result.err.size(), 3000U) << result.err;
  expect_parts(result.err, parts);
}

void expect_usage_error(const Arguments& arguments, const std::vector<std::string>& parts,
                        const std::string& folder) {
  SCOPED_TRACE(joined(arguments));
  const CommandResult result = run_program(arguments, folder);
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_FALSE(result.err.empty());
  expect_parts(result.err, parts);
}

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace warptape
