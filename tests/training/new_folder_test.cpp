#include "training/new_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/training/bad_files.h"

namespace warptape {
namespace {

std::vector<std::string> names_below(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(NewFolder, IsThereWithAllFiles) {
  const TemporaryFolder folder;
  write_new_folder(folder.path("a/b/"), {{"x.txt", "1"}, {"y.txt", "2"}}, "test");
  EXPECT_EQ(folder.read("a/b/x.txt"), "1");
  EXPECT_EQ(folder.read("a/b/y.txt"), "2");
  EXPECT_EQ(names_below(folder.path("a")), (std::vector<std::string>{"b"}));
}

TEST(NewFolder, ReplacesNothing) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path("a"));
  folder.write("f", "kept");
  for (const char* name : {"a", "f"}) {
    expect_file_error(
        [&] {
          write_new_folder(folder.path(name), {{"x", "1"}}, "test");
        },
        {"[test] ", "it exists; wanted a new folder"});
  }
  EXPECT_EQ(folder.read("f"), "kept");
  EXPECT_TRUE(names_below(folder.path("a")).empty());
  expect_file_error([&] { write_new_folder(folder.path("f/b"), {}, "test"); }, {"cannot be made"});
  expect_file_error([] { write_new_folder("", {}, "test"); }, {"wanted the path"});
}

TEST(NewFolder, IsKnownToBePossibleBeforehand) {
  const TemporaryFolder folder;
  folder.write("f", "");
  for (const char* name : {"f/b", "f/b/c/d", "/proc/none/a/b"}) {
    const std::string path = name[0] == '/' ? name : folder.path(name);
    expect_file_error([&] { check_new_folder(path, "test"); },
                      {"[test] " + path + ": the folder cannot be made"});
  }
  check_new_folder(folder.path("a/b/c//"), "test");
  check_new_folder(folder.path("a"), "test");
  EXPECT_EQ(names_below(folder.path()), (std::vector<std::string>{"f"}));
}

TEST(NewFolder, LeavesNothingHalfWritten) {
  const TemporaryFolder folder;
  expect_file_error(
      [&] {
        write_new_folder(folder.path("a"), {{"x", "1"}, {"y/z", "2"}}, "test");
      },
      {"y/z"});
  EXPECT_TRUE(names_below(folder.path()).empty());
}

}  // namespace
}  // namespace warptape
