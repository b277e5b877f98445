#pragma once
// Runs the built `warptape` program as a person does.

#include <sys/types.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

namespace warptape {

using Arguments = std::vector<std::string>;

struct CommandResult {
  int status = -1;  // exit status; -1 where a signal or the time limit ended it
  std::string out;
  std::string err;
};

// Runs the program in `folder` (the test's own where empty) for at most 60 seconds. A signal, the
// time limit and a sanitizer's report are test failures.
CommandResult run_program(const Arguments& arguments, const std::string& folder = "");
// The same with this text as standard input, which is empty else.
CommandResult run_with_input(const Arguments& arguments, const std::string& input);

// The program while it runs. The destructor kills what has not been waited for.
class RunningProgram {
 public:
  // Descriptors in `closed` are closed for it. Its standard input is a file with the text `input`,
  // or what is at `input_path`.
  explicit RunningProgram(const Arguments& arguments, const std::string& folder = "",
                          const std::vector<int>& closed = {}, const std::string& input = "",
                          const std::string& input_path = "");
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  void send(int signal) const;
  pid_t process() const { return child_; }
  CommandResult wait();   // as run_program; to be called once
  int wait_for_signal();  // the one that ended it, 0 for none; instead of wait()
  // Instead of wait(), where a signal may end it: the exit status, or 128 and the signal.
  int wait_for_status();
  std::string errors() const;  // what it wrote to standard error

 private:
  Arguments arguments_;
  std::unique_ptr<TemporaryFolder> streams_;
  pid_t child_;  // 0 once it has ended
};

// Runs the program with a terminal of so many columns as its standard output. What it writes there
// comes back byte for byte.
CommandResult run_on_terminal(const Arguments& arguments, unsigned short columns,
                              const std::string& folder = "");

// The same as run_program; another exit status than 0 is a test failure.
CommandResult expect_runs(const Arguments& arguments, const std::string& folder = "");

// Expects exit status 1, nothing on standard output, and on standard error one message of the
// program that has all the parts.
void expect_fails(const Arguments& arguments, const std::vector<std::string>& parts,
                  const std::string& folder = "");

// Expects exit status 2 and a message on standard error that has all the parts.
void expect_usage_error(const Arguments& arguments, const std::vector<std::string>& parts,
                        const std::string& folder = "");

// Sets a variable of the environment, which programs inherit, while it lives.
class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const std::string& value) : name_(name) {
    const char* const before = std::getenv(name);
    before_ = before == nullptr ? std::nullopt : std::optional<std::string>(before);
    ::setenv(name, value.c_str(), 1);
  }
  ~EnvironmentVariable() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  EnvironmentVariable(const EnvironmentVariable&) = delete;
  EnvironmentVariable& operator=(const EnvironmentVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// a followed by b.
Arguments operator+(Arguments a, const Arguments& b);

}  // namespace warptape
