#pragma once
// What the tests of all readers demand of damaged files.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "tests/temporary_folder.h"

namespace warptape {

using Parts = std::vector<std::string>;

// `action` throws an E whose message has all the parts.
template <class E>
void expect_error(const std::function<void()>& action, const Parts& parts) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const E& error) {
    const std::string message = error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
    }
    EXPECT_LT(message.size(), 1000U) << message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << error.what();
  }
}

inline void expect_file_error(const std::function<void()>& action, const Parts& parts) {
  expect_error<FileError>(action, parts);
}

// `load` reads the bytes as a file; it may succeed or throw FileError, nothing else.
inline void expect_survives(const std::string& bytes,
                            const std::function<void(const std::string&)>& load) {
  try {
    load(bytes);
  } catch (const FileError&) {
    return;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "neither loaded nor FileError: " << error.what() << "\nfor "
                  << testing::PrintToString(bytes);
  }
}

// Every truncation, every byte changed in four ways, bytes added, and random damage in several
// places.
inline void expect_survives_mutations(const std::string& valid,
                                      const std::function<void(const std::string&)>& load) {
  for (size_t i = 0; i < valid.size(); ++i) {
    expect_survives(valid.substr(0, i), load);
    expect_survives(valid.substr(0, i) + "7" + valid.substr(i), load);
    for (const int mask : {0x01, 0x10, 0x80, 0xff}) {
      std::string changed = valid;
      changed[i] = static_cast<char>(changed[i] ^ mask);
      expect_survives(changed, load);
    }
  }
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string changed = valid;
    for (int change = 0; change < 3; ++change) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    expect_survives(changed, load);
  }
}

// What is no regular file, or none that has anything in it.
inline void expect_refuses_special_files(const std::function<void(const std::string&)>& load) {
  const TemporaryFolder folder;
  const std::string empty = folder.write("empty", "");
  const std::string fifo = folder.path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  expect_file_error([&] { load(folder.path()); }, {folder.path(), "a directory", "a regular file"});
  expect_file_error([&] { load(fifo); }, {fifo, "a FIFO", "a regular file"});
  expect_file_error([&] { load(folder.path("missing")); }, {"missing", "No such file"});
  expect_file_error([&] { load("/dev/zero"); }, {"/dev/zero", "a device"});
  expect_file_error([&] { load(empty); }, {empty, "got 0 bytes"});
}

}  // namespace warptape
