#include "training/piano_roll.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/primitives.h"
#include "training/npy.h"
#include "training/text_lines.h"

namespace warptape {
namespace {

constexpr const char* who = "load_piano_rolls";
constexpr int64_t highest_midi = lowest_midi + piano_keys - 1;

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw FileError(fmt::format("[{}] {}: {}", who, escaped(path), message));
}

PianoRoll roll_from_npy(const std::string& path) {
  const Tensor array = load_npy(path);
  if (array.rank() != 2 || array.size(1) != piano_keys || array.size(0) < 2) {
    fail(path, fmt::format("got shape {}, wanted (frames, {}) of 2 or more frames", array.shape(),
                           piano_keys));
  }
  const std::vector<double> values = primitives::cast(array, float64).to_vector<double>();
  PianoRoll roll;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0 && values[i] != 1) {
      fail(path, fmt::format("frame {}, key {}: got {}, wanted 0 or 1", i / piano_keys,
                             i % piano_keys, values[i]));
    }
    roll.keys.push_back(values[i] == 0 ? 0 : 1);
  }
  return roll;
}

std::vector<PianoRoll> rolls_of_folder(const std::string& path) {
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".npy") {
      files.push_back(entry->path().string());
    }
  }
  if (error) {
    fail(path, error.message());
  }
  if (files.empty()) {
    fail(path, "got a folder without .npy files, wanted one or more, each a piece");
  }
  std::sort(files.begin(), files.end());
  std::vector<PianoRoll> rolls;
  for (const std::string& file : files) {
    rolls.push_back(roll_from_npy(file));
  }
  return rolls;
}

void add_frame(const TextLines& lines, std::string_view line, PianoRoll& to) {
  const size_t first = to.keys.size();
  to.keys.resize(first + piano_keys);
  for (const std::string_view word : words_of(line)) {
    const auto number = finite_number(word);
    lines.require(number && std::floor(*number) == *number && *number >= lowest_midi &&
                      *number <= highest_midi,
                  "got \"{}\", wanted MIDI numbers of {} to {}, an empty line for silence, or "
                  "--- between two pieces",
                  excerpt(word), lowest_midi, highest_midi);
    uint8_t& key = to.keys[first + static_cast<size_t>(*number) - lowest_midi];
    lines.require(key == 0, "got {} twice, wanted each key once", excerpt(word));
    key = 1;
  }
}

std::vector<PianoRoll> rolls_of_text(const std::string& path) {
  TextLines lines(path, who);
  std::vector<PianoRoll> rolls(1);
  while (const auto line = lines.next()) {
    const std::string_view text = trimmed(*line);
    if (text.starts_with('#')) {
      continue;
    }
    if (text != "---") {
      add_frame(lines, text, rolls.back());
      continue;
    }
    lines.require(rolls.back().frames() >= 2,
                  "got the end of a piece of {} frames, wanted 2 or more", rolls.back().frames());
    rolls.emplace_back();
  }
  if (rolls.back().frames() == 0 && rolls.size() > 1) {
    rolls.pop_back();  // behind the last line ---
  }
  if (rolls.back().frames() < 2) {
    lines.fail(fmt::format("got the end of a piece of {} frames, wanted 2 or more",
                           rolls.back().frames()));
  }
  return rolls;
}

}  // namespace

std::vector<PianoRoll> load_piano_rolls(const std::string& path) {
  std::error_code unknown;
  return std::filesystem::is_directory(path, unknown) ? rolls_of_folder(path) : rolls_of_text(path);
}

}  // namespace warptape
