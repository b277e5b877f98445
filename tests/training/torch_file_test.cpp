#include "training/torch_file.h"

#include <gtest/gtest.h>

#include "core/check.h"
#include "tests/core/expect_throws.h"
#include "tests/golden.h"
#include "tests/temporary_folder.h"
#include "tests/training/bad_files.h"
#include "training/file.h"

namespace warptape {
namespace {

std::string golden(const std::string& name) {
  return std::string(WARPTAPE_SOURCE_DIR "/tests/golden/") + name;
}

DType dtype_of_name(const std::string& name) {
  for (const DType dtype : {float32, float64, bfloat16, int64, uint8}) {
    if (name == to_string(dtype)) {
      return dtype;
    }
  }
  throw ValueError("no dtype " + name);
}

TEST(TorchFiles, HoldWhatPyTorchSaved) {
  const nlohmann::json files = load_golden("torch_files.json");
  ASSERT_EQ(files.size(), 2U);
  for (const auto& [file, wanted] : files.items()) {
    SCOPED_TRACE(file);
    const TorchFile got = load_torch_file(golden(file));
    ASSERT_EQ(got.tensors.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      const auto& [name, tensor] = got.tensors[i];
      EXPECT_EQ(name, wanted[i]["name"]);
      EXPECT_EQ(tensor.dtype(), dtype_of_name(wanted[i]["dtype"])) << name;
      EXPECT_EQ(tensor.shape(), Shape(wanted[i]["shape"].get<std::vector<int64_t>>())) << name;
      std::vector<double> values;
      for (const auto& value : wanted[i]["data"]) {
        values.push_back(value.is_string() ? INFINITY : value.get<double>());
      }
      EXPECT_EQ(tensor.to(float64).to_vector<double>(), values) << name;
    }
  }
}

TEST(TorchFiles, SayWhatElseWasInThem) {
  EXPECT_EQ(load_torch_file(golden("torch_checkpoint.pt")).left_out,
            (std::vector<std::string>{"epoch", "name", "rate", "none", "done", "big", "lists.1.1",
                                      "lists.1.2"}));
  EXPECT_TRUE(is_torch_file(golden("torch_plain.pt")));
  EXPECT_TRUE(is_torch_file(golden("torch_legacy.pt")));
  EXPECT_FALSE(is_torch_file(golden("torch_files.json")));
}

TEST(TorchFiles, WhatIsNotPlainIsRefused) {
  const auto refused = [](const std::string& name, std::vector<std::string> words) {
    words.push_back(name);
    words.emplace_back("[load_torch_file]");
    expect_throws<FileError>([&] { load_torch_file(golden(name)); }, words);
  };
  refused("torch_module.pt", {"data.pkl: byte 2", "torch.nn.modules.linear Linear"});
  refused("torch_legacy.pt", {"before 1.6"});
  refused("torch_expanded.pt", {"a: got 1000 elements of 1"});
  refused("torch_files.json", {"no zip archive"});
  refused("no_such_file.pt", {"no_such_file.pt"});
}

// One member after the other, stored, and the directory of them.
std::string zip_of(const std::vector<std::pair<std::string, std::string>>& members,
                   int method = 0) {
  const auto number = [](uint64_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) {
      text += static_cast<char>(value >> (8 * i) & 0xff);
    }
    return text;
  };
  std::string file;
  std::string directory;
  for (const auto& [name, data] : members) {
    const std::string common = number(0, 2) + number(static_cast<uint64_t>(method), 2) +
                               number(0, 8) + number(data.size(), 4) + number(data.size(), 4) +
                               number(name.size(), 2) + number(0, 2);
    directory += "PK\1\2" + number(0, 2) + number(20, 2) + common + number(0, 10) +
                 number(file.size(), 4) + name;
    file += "PK\3\4" + number(20, 2) + common + name + data;
  }
  return file + directory + "PK\5\6" + number(0, 4) + number(members.size(), 2) +
         number(members.size(), 2) + number(directory.size(), 4) + number(file.size(), 4) +
         number(0, 2);
}

class TorchFilesMade : public testing::Test {
 protected:
  // What loading a file of these bytes says.
  void refused(const std::string& bytes, std::vector<std::string> words) {
    const std::string path = folder_.write("made.pt", bytes);
    words.emplace_back("made.pt");
    expect_throws<FileError>([&] { load_torch_file(path); }, words);
  }
  void pickle_refused(const std::string& pickle, const std::vector<std::string>& words) {
    refused(zip_of({{"a/data.pkl", pickle}}), words);
  }
  TemporaryFolder folder_;
};

TEST_F(TorchFilesMade, ArchivesThatAreDamagedOrPacked) {
  refused(zip_of({{"a/other", ""}}), {"no member data.pkl"});
  refused(zip_of({{"a/data.pkl", "N."}}, 8), {"a/data.pkl", "compressed"});
  refused(zip_of({{"a/data.pkl", "N."}, {"a/data.pkl", "N."}}), {"a/data.pkl", "twice"});
  refused(zip_of({{"a/data.pkl", "N."}, {"a/byteorder", "big"}}), {"byteorder"});
  refused("PK\3\4" + std::string(40, '\0'), {"no directory"});
}

TEST_F(TorchFilesMade, PicklesThatNeedMore) {
  pickle_refused("cos\nsystem\n.", {"byte 0", "os system"});
  pickle_refused(std::string("\x80\2") + "cbuiltins\neval\nX\1\0\0\0" + "1\x85R.",
                 {"builtins eval"});
  pickle_refused("i", {"byte 0", "0x69 ('i')"});
  pickle_refused("N\x81", {"byte 1", "0x81"});
  pickle_refused("", {"cut off"});
  pickle_refused(
      "X\xff\xff\xff\xff"
      "abc",
      {"cut off"});
  pickle_refused("h\1.", {"memo 1"});
  pickle_refused("s.", {"empty stack"});
  pickle_refused("t.", {"no mark"});
  pickle_refused("NNNs.", {"a dict"});
  pickle_refused(std::string("\x8a\x09") + "123456789.", {"9 bytes"});
  pickle_refused("}q\0X\1\0\0\0ah\0s.", {"byte"});
}

// A list of two of the last list, fifty times: 2^50 values in some hundred bytes.
TEST_F(TorchFilesMade, ListsThatWouldBeEndless) {
  std::string pickle = "]q" + std::string(1, '\0');
  for (int i = 1; i <= 50; ++i) {
    const std::string last = "h" + std::string(1, static_cast<char>(i - 1));
    pickle += "](" + last + last + "eq" + std::string(1, static_cast<char>(i));
  }
  pickle_refused(pickle + ".", {"more than 300000 values"});
  pickle_refused("]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a.", {"in itself"});
  std::string deep;
  for (int i = 0; i < 200; ++i) {
    deep += "](";
  }
  pickle_refused(deep + std::string(200, 'e') + ".", {"levels"});
}

// A tensor of 1000 elements, named a hundred thousand times, is one.
TEST_F(TorchFilesMade, ATensorInManyPlacesIsReadOnce) {
  const auto text = [](const std::string& word) {
    return "X" + std::string(1, static_cast<char>(word.size())) + std::string(3, '\0') + word;
  };
  const std::string thousand("M\xe8\x03", 3);
  const std::string storage =
      "(" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") + thousand + "tQ";
  const std::string tensor = "ctorch._utils\n_rebuild_tensor_v2\n(" + storage +
                             std::string("K\0", 2) + thousand + "\x85K\1\x85\x89NtR";
  std::string pickle = "](" + tensor + "q" + std::string(1, '\0');
  for (int i = 0; i < 100'000; ++i) {
    pickle += std::string("h\0", 2);
  }
  const std::string path = folder_.write(
      "many.pt", zip_of({{"a/data.pkl", pickle + "e."}, {"a/data/0", std::string(4000, '\0')}}));
  const TorchFile file = load_torch_file(path);
  ASSERT_EQ(file.tensors.size(), 100'001U);
  EXPECT_TRUE(file.tensors[0].second.shares_storage_with(file.tensors[100'000].second));
  // A negated view, and more of them than a file can be for.
  const std::string negated = tensor.substr(0, tensor.size() - 2) + "}" + text("neg") + "\x88stR";
  refused(zip_of({{"a/data.pkl", negated + "."}, {"a/data/0", std::string(4000, '\0')}}),
          {"not plain"});
  std::string many = "](";
  for (int i = 0; i < 2000; ++i) {
    many += tensor;
  }
  refused(zip_of({{"a/data.pkl", many + "e."}, {"a/data/0", std::string(4000, '\0')}}),
          {"bytes out of a file of"});
  refused(zip_of({{"a/data.pkl", "N."}, {"b/data.pkl", "N."}}), {"b/data.pkl", "another"});
}

TEST_F(TorchFilesMade, DamageIsAFileError) {
  expect_refuses_special_files([](const std::string& path) { load_torch_file(path); });
  expect_survives_mutations(
      read_file(golden("torch_checkpoint.pt"), 1 << 20),
      [&](const std::string& bytes) { load_torch_file(folder_.write("made.pt", bytes)); });
}

}  // namespace
}  // namespace warptape
