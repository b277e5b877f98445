#include "tests/tools/command_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <system_error>
#include <thread>

#include "tests/temporary_folder.h"

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

pid_t spawn(const Arguments& arguments, const std::string& folder, const TemporaryFolder& streams) {
  std::vector<std::string> words = Arguments{WARPTAPE_PROGRAM} + arguments;
  std::vector<std::string> environment = make_environment(arguments);
  posix_spawn_file_actions_t actions;
  throw_unless_zero(posix_spawn_file_actions_init(&actions), "posix_spawn_file_actions_init");
  const int flags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, streams.path("out").c_str(), flags, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, streams.path("err").c_str(), flags, 0600);
  if (!folder.empty()) {
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  }
  pid_t child = 0;
  const int code = posix_spawn(&child, WARPTAPE_PROGRAM, &actions, nullptr,
                               pointers_to(words).data(), pointers_to(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  throw_unless_zero(code, WARPTAPE_PROGRAM);
  return child;
}

// waitpid's status; the child is killed at the time limit.
int wait_for(pid_t child) {
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
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void expect_parts(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
  }
}

}  // namespace

CommandResult run_program(const Arguments& arguments, const std::string& folder) {
  const TemporaryFolder streams;
  const int ended = wait_for(spawn(arguments, folder, streams));
  CommandResult result;
  result.status = WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
  result.out = streams.read("out");
  result.err = streams.read("err");
  EXPECT_TRUE(WIFEXITED(ended)) << joined(arguments) << "\nended by signal "
                                << (WIFSIGNALED(ended) ? WTERMSIG(ended) : 0) << "\n"
                                << result.err;
  for (const char* report : {"AddressSanitizer", "LeakSanitizer", "runtime error:"}) {
    EXPECT_EQ(result.err.find(report), std::string::npos) << joined(arguments) << "\n"
                                                          << result.err;
  }
  return result;
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
