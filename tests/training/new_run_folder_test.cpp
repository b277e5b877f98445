#include "training/run_folder.h"

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/training/bad_files.h"

namespace warptape {
namespace {

// Calls body(i) on so many threads at once.
template <class Body>
void at_once(int many, const Body& body) {
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < many; ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < many) {
        std::this_thread::yield();
      }
      body(i);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(NewRunFolders, ThatAreMadeAtOnceAreDifferent) {
  constexpr int threads = 32;
  constexpr int each = 10;  // one round would often pass by luck
  const TemporaryFolder folder;
  std::vector<std::vector<std::string>> made(threads);
  at_once(threads, [&](int i) {
    for (int k = 0; k < each; ++k) {
      made[static_cast<size_t>(i)].push_back(RunFolder::make_new(folder.path("runs/deep/model-1")));
    }
  });
  std::set<std::string> different;
  for (const std::vector<std::string>& paths : made) {
    different.insert(paths.begin(), paths.end());
  }
  EXPECT_EQ(different.size(), size_t{threads * each});
  EXPECT_TRUE(different.contains(folder.path("runs/deep/model-1")));
  EXPECT_TRUE(different.contains(folder.path("runs/deep/model-1-320")));
}

TEST(NewRunFolders, NamesThatAreTakenByAnythingAreLeftAlone) {
  const TemporaryFolder folder;
  folder.write("run", "a file");
  std::filesystem::create_symlink(folder.path("nowhere"), folder.path("run-2"));
  std::filesystem::create_directory(folder.path("run-3"));
  EXPECT_EQ(RunFolder::make_new(folder.path("run")), folder.path("run-4"));
}

TEST(NewRunFolders, OfOneNameBelongToOneRun) {
  constexpr int threads = 8;
  for (int round = 0; round < 60; ++round) {
    const TemporaryFolder folder;
    if (round % 2 == 0) {
      std::filesystem::create_directory(folder.path("run"));
    }
    std::atomic<int> made{0};
    std::atomic<int> refused{0};
    at_once(threads, [&](int i) {
      try {
        RunFolder run(folder.path("run"), std::to_string(i), RunColumns());
        ++made;
      } catch (const FileError& error) {
        refused += std::string(error.what()).find("it exists") != std::string::npos ? 1 : 0;
      }
    });
    ASSERT_EQ(made, 1);
    ASSERT_EQ(refused, threads - 1);
    EXPECT_EQ(folder.read("run/steps.csv"), "step,loss,learning_rate,gradient_norm\n");
  }
}

TEST(NewRunFolders, MayHaveASlashAtTheEnd) {
  const TemporaryFolder folder;
  RunFolder run(folder.path("a/b/"), "{}", RunColumns());
  EXPECT_EQ(folder.read("a/b/config.json"), "{}");
  expect_file_error([&] { RunFolder(folder.path("a/b//"), "{}", RunColumns()); }, {"it exists"});
  expect_file_error([&] { RunFolder(folder.path("a/b/config.json/c"), "{}", RunColumns()); },
                    {"Not a directory"});
  expect_file_error([&] { RunFolder(folder.path(std::string("x\0y\n", 4)), "{}", RunColumns()); },
                    {"x\\x00y\\x0a", "zero byte"});
}

}  // namespace
}  // namespace warptape
