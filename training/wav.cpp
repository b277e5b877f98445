#include "training/wav.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "core/check.h"
#include "training/file.h"

namespace warptape {
namespace {

constexpr const char* reader = "load_wav";
constexpr const char* writer = "save_wav";

constexpr uint16_t tag_pcm = 1;
constexpr uint16_t tag_float = 3;
constexpr uint16_t tag_extensible = 0xFFFE;  // the tag then stands in the sub-format
constexpr uint64_t header_bytes = 44;        // of what is written
constexpr uint64_t frames_at_once = 1 << 14;

template <class T>
T little_endian(const char* bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(
        value | static_cast<T>(static_cast<T>(static_cast<uint8_t>(bytes[i])) << (8 * i)));
  }
  return value;
}

template <class T>
void append_little_endian(std::string& to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    to.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
  }
}

struct Chunk {
  uint64_t begin = 0;  // of its contents
  uint64_t bytes = 0;
};

struct Header {
  WavSamples format;
  uint16_t channels;
  uint32_t sample_rate;
  uint64_t frame_bytes;
};

uint64_t bytes_of(WavSamples format) {
  return format == WavSamples::PCM16 ? 2 : format == WavSamples::PCM24 ? 3 : 4;
}

Header read_format(const InputFile& file, const Chunk& chunk) {
  file.require(chunk.bytes >= 16, "fmt chunk: got {} bytes, wanted 16 or more", chunk.bytes);
  const std::string bytes = file.read_bytes(chunk.begin, std::min<uint64_t>(chunk.bytes, 40));
  auto tag = little_endian<uint16_t>(bytes.data());
  const auto channels = little_endian<uint16_t>(bytes.data() + 2);
  const auto rate = little_endian<uint32_t>(bytes.data() + 4);
  const auto frame_bytes = little_endian<uint16_t>(bytes.data() + 12);
  const auto bits = little_endian<uint16_t>(bytes.data() + 14);
  if (tag == tag_extensible) {
    file.require(bytes.size() >= 26, "fmt chunk: got {} bytes, wanted the 40 of an extensible one",
                 chunk.bytes);
    tag = little_endian<uint16_t>(bytes.data() + 24);
  }
  file.require(tag == tag_pcm || tag == tag_float,
               "format: got the tag {:#06x}, which is compressed or unknown; wanted PCM ({}) or "
               "float ({})",
               tag, tag_pcm, tag_float);
  const bool is_float = tag == tag_float;
  file.require(is_float ? bits == 32 : bits == 16 || bits == 24,
               "bits of a sample: got {} of {}, wanted 16 or 24 of PCM, or 32 of float", bits,
               is_float ? "float" : "PCM");
  file.require(channels >= 1, "channels: got 0, wanted 1 or more");
  file.require(rate >= 1, "sample rate: got 0, wanted 1 or more");
  const WavSamples format = is_float     ? WavSamples::Float32
                            : bits == 16 ? WavSamples::PCM16
                                         : WavSamples::PCM24;
  const uint64_t wanted = channels * bytes_of(format);
  file.require(frame_bytes == wanted,
               "bytes of a frame: got {}, wanted {} ({} channels of {} bits)", frame_bytes, wanted,
               channels, bits);
  return {format, channels, rate, wanted};
}

float sample(WavSamples format, const char* bytes) {
  if (format == WavSamples::PCM16) {
    return static_cast<float>(static_cast<int16_t>(little_endian<uint16_t>(bytes))) / 0x1p15F;
  }
  if (format == WavSamples::PCM24) {
    uint32_t word = 0;
    for (size_t i = 0; i < 3; ++i) {
      word |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i + 8);
    }
    return static_cast<float>(static_cast<int32_t>(word) >> 8) / 0x1p23F;
  }
  const auto word = little_endian<uint32_t>(bytes);
  float value = 0;
  std::memcpy(&value, &word, sizeof(value));
  return value;
}

Tensor read_samples(const InputFile& file, const Header& header, const Chunk& data) {
  const uint64_t frames = data.bytes / header.frame_bytes;
  file.require(frames >= 1, "data chunk: got {} bytes, wanted one frame of {} or more", data.bytes,
               header.frame_bytes);
  Tensor samples =
      Tensor::empty({static_cast<int64_t>(header.channels), static_cast<int64_t>(frames)}, float32);
  float* const to = samples.mutable_data<float>();
  const uint64_t sample_bytes = bytes_of(header.format);
  for (uint64_t begin = 0; begin < frames; begin += frames_at_once) {
    const uint64_t count = std::min(frames - begin, frames_at_once);
    const std::string bytes =
        file.read_bytes(data.begin + begin * header.frame_bytes, count * header.frame_bytes);
    for (uint64_t frame = 0; frame < count; ++frame) {
      for (uint64_t c = 0; c < header.channels; ++c) {
        const float value =
            sample(header.format, bytes.data() + frame * header.frame_bytes + c * sample_bytes);
        file.require(std::isfinite(value), "frame {}: got {}, wanted finite samples", begin + frame,
                     value);
        to[c * frames + begin + frame] = value;
      }
    }
  }
  return samples;
}

// The nearest whole number; counts those beyond what so many bits hold.
int32_t quantised(float value, int bits, int64_t& clipped) {
  const double scale = std::ldexp(1.0, bits - 1);
  const double wanted = std::nearbyint(static_cast<double>(value) * scale);
  const double bounded = std::clamp(wanted, -scale, scale - 1);
  clipped += bounded != wanted ? 1 : 0;
  return static_cast<int32_t>(bounded);
}

void append_sample(std::string& to, float value, WavSamples format, int64_t& clipped) {
  if (format == WavSamples::Float32) {
    uint32_t word = 0;
    std::memcpy(&word, &value, sizeof(word));
    append_little_endian(to, word);
  } else if (format == WavSamples::PCM16) {
    append_little_endian(to, static_cast<uint16_t>(quantised(value, 16, clipped)));
  } else {
    const auto word = static_cast<uint32_t>(quantised(value, 24, clipped));
    for (int i = 0; i < 3; ++i) {
      to.push_back(static_cast<char>((word >> (8 * i)) & 0xFF));
    }
  }
}

std::string header_of(const Wav& wav, uint64_t data_bytes) {
  const auto channels = static_cast<uint16_t>(wav.samples.size(0));
  const auto frame_bytes = static_cast<uint16_t>(channels * bytes_of(wav.format));
  std::string header = "RIFF";
  append_little_endian(header,
                       static_cast<uint32_t>(header_bytes - 8 + data_bytes + data_bytes % 2));
  header += "WAVEfmt ";
  append_little_endian(header, uint32_t{16});
  append_little_endian(header, wav.format == WavSamples::Float32 ? tag_float : tag_pcm);
  append_little_endian(header, channels);
  append_little_endian(header, static_cast<uint32_t>(wav.sample_rate));
  append_little_endian(header, static_cast<uint32_t>(wav.sample_rate * frame_bytes));
  append_little_endian(header, frame_bytes);
  append_little_endian(header, static_cast<uint16_t>(8 * bytes_of(wav.format)));
  header += "data";
  append_little_endian(header, static_cast<uint32_t>(data_bytes));
  return header;
}

}  // namespace

Wav load_wav(const std::string& path) {
  const InputFile file(path, reader);
  const std::string begin = file.read_bytes(0, 12);
  file.require(begin.compare(0, 4, "RIFF") == 0 && begin.compare(8, 4, "WAVE") == 0,
               "the first 12 bytes: got \"{}\", wanted RIFF, a size and WAVE", excerpt(begin));
  std::optional<Header> header;
  for (uint64_t at = 12; at + 8 <= file.size();) {
    const std::string name_and_size = file.read_bytes(at, 8);
    const std::string name = name_and_size.substr(0, 4);
    const Chunk chunk{at + 8, little_endian<uint32_t>(name_and_size.data() + 4)};
    file.require(chunk.bytes <= file.size() - chunk.begin,
                 "chunk \"{}\" at byte {}: its header claims {} bytes, the file has {} there",
                 escaped(name), at, chunk.bytes, file.size() - chunk.begin);
    if (name == "fmt ") {
      header = read_format(file, chunk);
    } else if (name == "data") {
      file.require(header.has_value(), "got a data chunk, wanted a fmt chunk before it");
      return {read_samples(file, *header, chunk), header->sample_rate, header->format};
    }
    at = chunk.begin + chunk.bytes + chunk.bytes % 2;
  }
  file.fail("got no data chunk, wanted one");
}

int64_t save_wav(const std::string& path, const Wav& wav) {
  const int64_t channels = wav.samples.size(0);
  const int64_t frames = wav.samples.size(1);
  const auto wanted = [&](bool condition, const char* what, int64_t got, int64_t most) {
    check<FileError>(condition, "[{}] {}: {}: got {}, wanted 1 to {}", writer, escaped(path), what,
                     got, most);
  };
  const auto sample_bytes = static_cast<int64_t>(bytes_of(wav.format));
  const int64_t most_channels = std::numeric_limits<uint16_t>::max() / sample_bytes;
  wanted(channels >= 1 && channels <= most_channels, "channels", channels, most_channels);
  wanted(wav.sample_rate >= 1 && wav.sample_rate <= (1 << 24), "sample rate", wav.sample_rate,
         1 << 24);
  const int64_t most_frames =
      (std::numeric_limits<uint32_t>::max() - int64_t{header_bytes}) / (channels * sample_bytes);
  wanted(frames >= 1 && frames <= most_frames, "frames", frames, most_frames);
  const std::vector<float> samples = wav.samples.to_vector<float>();
  check<FileError>(
      std::all_of(samples.begin(), samples.end(), [](float v) { return std::isfinite(v); }),
      "[{}] {}: got samples that are not finite", writer, escaped(path));
  const auto data_bytes = static_cast<uint64_t>(frames * channels * sample_bytes);
  int64_t clipped = 0;
  write_file_atomically(
      path,
      [&](OutputFile& file) {
        file.write(header_of(wav, data_bytes));
        std::string part;
        for (int64_t frame = 0; frame < frames; ++frame) {
          for (int64_t c = 0; c < channels; ++c) {
            append_sample(part, samples[static_cast<size_t>(c * frames + frame)], wav.format,
                          clipped);
          }
          if (part.size() >= (1 << 16) || frame + 1 == frames) {
            file.write(part);
            part.clear();
          }
        }
        if (data_bytes % 2 != 0) {
          file.write(std::string_view("\0", 1));  // chunks have even lengths
        }
      },
      writer);
  return clipped;
}

}  // namespace warptape
