// Texts as indices, and pieces of music as rolls of keys.

#include <gtest/gtest.h>

#include <filesystem>

#include "core/utf8.h"
#include "tests/temporary_folder.h"
#include "tests/training/bad_files.h"
#include "training/characters.h"
#include "training/npy.h"
#include "training/piano_roll.h"

namespace warptape {
namespace {

TEST(Characters, AreCodePoints) {
  const TemporaryFolder folder;
  const std::string text = "b\xc3\xa4\xe2\x82\xac\xf0\x9d\x84\x9e\nb\x7f";  // ä, the euro, a clef
  const std::vector<uint32_t> codes = load_characters(folder.write("t", text));
  EXPECT_EQ(codes, (std::vector<uint32_t>{'b', 0xe4, 0x20ac, 0x1d11e, '\n', 'b', 0x7f}));
  std::string again;
  for (const uint32_t code : codes) {
    again += to_utf8(code);
  }
  EXPECT_EQ(again, text);
  const Vocabulary vocabulary(vocabulary_of(codes));
  EXPECT_EQ(vocabulary.codes(), (std::vector<uint32_t>{'\n', 'b', 0x7f, 0xe4, 0x20ac, 0x1d11e}));
  EXPECT_EQ(vocabulary.indices(codes), (std::vector<int64_t>{1, 3, 4, 5, 0, 1, 2}));
  EXPECT_EQ(vocabulary.indices("b\xe2\x82\xac", "who"), (std::vector<int64_t>{1, 4}));
  expect_error<ValueError>([&] { vocabulary.indices("bx", "[who] --prompt"); },
                           {"[who] --prompt: character 2: got \"x\"", "the 6"});
  expect_error<ValueError>([&] { vocabulary.indices("\xff", "[who]"); }, {"0xff", "UTF-8"});
}

TEST(Characters, AreUtf8OrNone) {
  const TemporaryFolder folder;
  for (const char* bad : {"\x80", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    expect_file_error([&] { load_characters(folder.write("t", std::string("a\n\nb") + bad)); },
                      {"[load_characters] ", "line 3: got the byte 0x", "at 4, wanted UTF-8"});
  }
  expect_refuses_special_files([](const std::string& path) { load_characters(path); });
}

std::vector<int64_t> keys_of(const PianoRoll& roll, int64_t frame) {
  std::vector<int64_t> keys;
  for (int64_t key = 0; key < piano_keys; ++key) {
    if (roll.keys[static_cast<size_t>(frame * piano_keys + key)] != 0) {
      keys.push_back(key);
    }
  }
  return keys;
}

TEST(PianoRolls, ComeFromTextLineByLine) {
  const TemporaryFolder folder;
  const auto rolls = load_piano_rolls(
      folder.write("m", "# two pieces\r\n21 108\r\n\r\n60\n---\n60 64 67\n61\n---\n"));
  ASSERT_EQ(rolls.size(), 2U);
  ASSERT_EQ(rolls[0].frames(), 3);
  EXPECT_EQ(keys_of(rolls[0], 0), (std::vector<int64_t>{0, 87}));
  EXPECT_EQ(keys_of(rolls[0], 1), std::vector<int64_t>{});
  EXPECT_EQ(keys_of(rolls[0], 2), std::vector<int64_t>{39});
  ASSERT_EQ(rolls[1].frames(), 2);
  EXPECT_EQ(keys_of(rolls[1], 0), (std::vector<int64_t>{39, 43, 46}));
  const auto refuse = [&](const std::string& text, const Parts& parts) {
    expect_file_error([&] { load_piano_rolls(folder.write("m", text)); }, parts);
  };
  refuse("60\n20\n",
         {"[load_piano_rolls] ", "line 2: got \"20\", wanted MIDI numbers of 21 to 108"});
  refuse("60\n109\n", {"line 2", "\"109\""});
  refuse("60\n60.5\n", {"line 2", "\"60.5\""});
  refuse("60\nc4\n", {"line 2", "\"c4\"", "---"});
  refuse("60\n61 61\n", {"line 2: got 61 twice"});
  refuse("60\n---\n61\n62\n", {"line 2: got the end of a piece of 1 frames, wanted 2 or more"});
  refuse("60\n61\n---\n61\n", {"line 4: got the end of a piece of 1 frames"});
  refuse("---\n", {"line 1", "0 frames"});
  refuse("# nothing\n", {"line 1", "0 frames"});
  expect_survives_mutations("21 99\n\n---\n60\n61\n", [&](const std::string& bytes) {
    load_piano_rolls(folder.write("m", bytes));
  });
}

TEST(PianoRolls, ComeFromAFolderOfArrays) {
  const TemporaryFolder folder;
  const std::string pieces = folder.path("pieces");
  std::filesystem::create_directory(pieces);
  expect_file_error([&] { load_piano_rolls(pieces); }, {"pieces", "without .npy files"});
  Tensor second = Tensor::zeros({3, 88});
  second.mutable_data<float>()[88 + 5] = 1;
  save_npy(pieces + "/b.npy", second);
  save_npy(pieces + "/a.npy", Tensor::ones({2, 88}, uint8));
  const auto rolls = load_piano_rolls(pieces);
  ASSERT_EQ(rolls.size(), 2U) << "in the order of their names";
  EXPECT_EQ(rolls[0].frames(), 2);
  EXPECT_EQ(keys_of(rolls[0], 1).size(), 88U);
  EXPECT_EQ(keys_of(rolls[1], 1), std::vector<int64_t>{5});
  second.mutable_data<float>()[2 * 88 + 7] = 0.5;
  save_npy(pieces + "/b.npy", second);
  expect_file_error([&] { load_piano_rolls(pieces); },
                    {"b.npy: frame 2, key 7: got 0.5, wanted 0 or 1"});
  for (const Shape& shape : {Shape{1, 88}, Shape{88, 3}, Shape{2, 2, 44}}) {
    save_npy(pieces + "/b.npy", Tensor::zeros(shape));
    expect_file_error([&] { load_piano_rolls(pieces); }, {"b.npy: got shape (", "(frames, 88)"});
  }
}

}  // namespace
}  // namespace warptape
