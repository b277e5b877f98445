#include "training/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/training/bad_files.h"

namespace warptape {
namespace {

namespace fs = std::filesystem;

// Gives up root's right to read and write everything, which no test of permissions could see.
class Unprivileged {
 public:
  Unprivileged() : held_(geteuid() == 0 && seteuid(65534) == 0) {}
  ~Unprivileged() {
    if (held_ && seteuid(0) != 0) {
      std::abort();
    }
  }

 private:
  bool held_;
};

// No file of this process may grow beyond `bytes`: a full disk, as far as a writer can tell.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    previous_handler_ = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit{bytes, previous_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &previous_);
    signal(SIGXFSZ, previous_handler_);
  }

 private:
  rlimit previous_{};
  void (*previous_handler_)(int);
};

TEST(File, ReadsWholeFilesAndRanges) {
  const TemporaryFolder folder;
  const std::string path = folder.write("data", std::string("0123\0"
                                                            "5",
                                                            6));
  EXPECT_EQ(read_file(path, 6), std::string("0123\0"
                                            "5",
                                            6));
  const InputFile file(path);
  EXPECT_EQ(file.size(), 6U);
  EXPECT_EQ(file.path(), path);
  EXPECT_EQ(file.read_bytes(1, 3), "123");
  EXPECT_EQ(file.read_bytes(6, 0), "");
}

TEST(File, RefusesRangesOutsideTheFile) {
  const TemporaryFolder folder;
  const InputFile file(folder.write("data", "0123456"), "reader");
  struct Case {
    uint64_t offset;
    uint64_t count;
  };
  for (const Case& range : {Case{0, 8}, Case{7, 1}, Case{8, 0}, Case{1, UINT64_MAX},
                            Case{UINT64_MAX, 1}, Case{0, UINT64_MAX}}) {
    expect_file_error([&] { file.read_bytes(range.offset, range.count); },
                      {"[reader]", "data", "got 7 bytes", std::to_string(range.count),
                       std::to_string(range.offset)});
  }
}

TEST(File, RefusesMoreThanTheLimit) {
  const TemporaryFolder folder;
  const std::string path = folder.write("data", "0123456");
  expect_file_error([&] { read_file(path, 6, "load_x"); }, {"[load_x]", path, "got 7", "most 6"});
}

TEST(File, NoticesAFileThatShrinks) {
  const TemporaryFolder folder;
  const std::string path = folder.write("data", "0123456");
  const InputFile file(path);
  fs::resize_file(path, 3);
  expect_file_error([&] { file.read_bytes(0, 7); }, {path, "ended at byte 3", "7 bytes"});
}

TEST(File, RefusesWhatIsNoRegularFile) {
  expect_refuses_special_files([](const std::string& path) {
    const InputFile file(path);
    file.require(file.size() > 0, "got 0 bytes");
  });
  expect_file_error([] { InputFile file(""); }, {"No such file"});
}

TEST(File, RefusesAnUnreadableFile) {
  const TemporaryFolder folder;
  const std::string path = folder.write("secret", "x");
  chmod(folder.path().c_str(), 0755);
  chmod(path.c_str(), 0);
  const Unprivileged unprivileged;
  if (faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0) {
    GTEST_SKIP() << "this process may read everything";
  }
  expect_file_error([&] { read_file(path, 10); }, {path, "Permission denied"});
}

TEST(File, WritesAndReplaces) {
  const TemporaryFolder folder;
  const std::string path = folder.path("out");
  write_file_atomically(path, "old contents");
  EXPECT_EQ(folder.read("out"), "old contents");
  chmod(path.c_str(), 0640);
  write_file_atomically(path, [](OutputFile& file) {
    file.write("ne");
    file.write("w", 1);
  });
  EXPECT_EQ(folder.read("out"), "new");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms{0640});
  write_file_atomically(path, "");
  EXPECT_EQ(folder.read("out"), "");
  EXPECT_EQ(folder.names(), Parts{"out"});
}

TEST(File, FollowsALink) {
  const TemporaryFolder folder;
  folder.write("kept/file", "old");
  fs::create_symlink("kept/file", folder.path("link"));
  write_file_atomically(folder.path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(folder.path("link")));
  EXPECT_EQ(folder.read("kept/file"), "new");
}

TEST(File, AThrowingWriterLeavesNothing) {
  const TemporaryFolder folder;
  const std::string path = folder.write("out", "old");
  const auto write = [](OutputFile& file) {
    file.write("half");
    throw ValueError("no more");
  };
  EXPECT_THROW(write_file_atomically(path, write), ValueError);
  EXPECT_THROW(write_file_atomically(folder.path("other"), write), ValueError);
  EXPECT_EQ(folder.read("out"), "old");
  EXPECT_EQ(folder.names(), Parts{"out"});
}

TEST(File, AFullDiskLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.write("out", "old");
  const std::string large(100'000, 'x');
  {
    const FileSizeLimit limit(50'000);
    expect_file_error([&] { write_file_atomically(path, large, "save_x"); },
                      {"[save_x]", path, "writing", "File too large"});
  }
  EXPECT_EQ(folder.read("out"), "old");
  EXPECT_EQ(folder.names(), Parts{"out"});
}

TEST(File, AKillInMidWriteLeavesTheOldFile) {
  const TemporaryFolder folder;
  const std::string path = folder.write("out", "old");
  const pid_t child = fork();
  if (child == 0) {
    write_file_atomically(path, [](OutputFile& file) {
      file.write("half");
      raise(SIGKILL);
    });
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(folder.read("out"), "old");
  write_file_atomically(path, "new");
  EXPECT_EQ(folder.read("out"), "new");
}

TEST(File, RefusesAReadOnlyFolderAndFile) {
  const TemporaryFolder folder;
  const std::string path = folder.write("out", "old");
  chmod(path.c_str(), 0444);
  chmod(folder.path().c_str(), 0555);
  {
    const Unprivileged unprivileged;
    if (faccessat(AT_FDCWD, folder.path().c_str(), W_OK, AT_EACCESS) == 0) {
      GTEST_SKIP() << "this process may write everything";
    }
    expect_file_error([&] { write_file_atomically(path, "new"); }, {path, "Permission denied"});
    expect_file_error([&] { write_file_atomically(folder.path("other"), "new"); },
                      {"other", "Permission denied"});
  }
  chmod(folder.path().c_str(), 0755);
  EXPECT_EQ(folder.read("out"), "old");
  EXPECT_EQ(folder.names(), Parts{"out"});
}

TEST(File, RefusesTargetsThatAreNoFile) {
  const TemporaryFolder folder;
  const std::string file = folder.write("file", "x");
  const std::string fifo = folder.path("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const auto write = [](const std::string& path) { write_file_atomically(path, "new"); };
  expect_file_error([&] { write(folder.path()); }, {folder.path(), "a directory"});
  expect_file_error([&] { write(fifo); }, {fifo, "a FIFO"});
  expect_file_error([&] { write("/dev/null"); }, {"/dev/null", "a device"});
  expect_file_error([&] { write(file + "/inside"); }, {"inside", "Not a directory"});
  expect_file_error([&] { write(folder.path("none/file")); }, {"none/file", "No such file"});
  expect_file_error([&] { write(folder.path(std::string(300, 'n'))); }, {"nnn", "too long"});
  EXPECT_EQ(folder.names(), (Parts{"fifo", "file"}));
}

TEST(File, PathsInMessagesAreEscaped) {
  const TemporaryFolder folder;
  const std::string name = "a\x1b[1m\n\xff";
  const std::string shown = folder.path("a\\x1b[1m\\x0a\\xff") + ": ";
  expect_file_error([&] { InputFile(folder.path(name)); }, {shown, "No such file"});
  expect_file_error([&] { write_file_atomically(folder.path(name + "/x"), "new"); },
                    {folder.path("a\\x1b[1m\\x0a\\xff/x: "), "No such file"});
}

TEST(File, PathsWithAZeroByteAreRefused) {
  const TemporaryFolder folder;
  const std::string file = folder.write("a", "old") + std::string("\0b", 2);
  const Parts parts = {folder.path("a\\x00b: "), "zero byte"};
  expect_file_error([&] { read_file(file, 100); }, parts);
  expect_file_error([&] { write_file_atomically(file, "new"); }, parts);
  EXPECT_EQ(folder.read("a"), "old");
}

}  // namespace
}  // namespace warptape
