#pragma once
// WAV files of plain samples: 16- and 24-bit PCM, and 32-bit float.

#include <string>

#include "core/tensor.h"

namespace warptape {

enum class WavSamples { PCM16, PCM24, Float32 };

struct Wav {
  Tensor samples;  // float32 (channels, frames), PCM from -1 to below 1
  int64_t sample_rate = 0;
  WavSamples format = WavSamples::PCM16;
};

// FileError for what is no WAV file, whose header claims more than the file has, whose samples are
// compressed or of another size, or without frames.
Wav load_wav(const std::string& path);

// Replaces the file in one step. PCM is rounded and clipped: returns how many samples were beyond
// what it holds. FileError for samples that are not finite, for sizes that the format cannot say,
// and for the disk.
int64_t save_wav(const std::string& path, const Wav& wav);

}  // namespace warptape
