#pragma once
// Music as rolls of the 88 keys of a piano: which of them sound in a frame.

#include <cstdint>
#include <string>
#include <vector>

namespace warptape {

inline constexpr int64_t piano_keys = 88;
inline constexpr int64_t lowest_midi = 21;  // the MIDI number of key 0

// (frames, 88), 1 where a key sounds.
struct PianoRoll {
  std::vector<uint8_t> keys;
  int64_t frames() const { return static_cast<int64_t>(keys.size()) / piano_keys; }
};

// A folder: every .npy file in it is a piece, (frames, 88) of 0 and 1, in the order of their names.
// A file: a text with a line per frame, the MIDI numbers (21 to 108) of the keys that sound with
// spaces between them, an empty line for silence; a line "---" ends a piece, and what begins with #
// is a comment. Pieces have two frames or more. FileError with the line, or with file and frame.
std::vector<PianoRoll> load_piano_rolls(const std::string& path);

}  // namespace warptape
