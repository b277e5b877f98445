// WAV files: what is written comes back, what others write is read, and what is none is refused.

#include "training/wav.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/random.h"
#include "kernels/pointwise/pointwise.h"
#include "tests/temporary_folder.h"
#include "tests/training/bad_files.h"

namespace warptape {
namespace {

std::string little(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
  }
  return text;
}

std::string chunk(const std::string& name, const std::string& bytes) {
  return name + little(bytes.size(), 4) + bytes +
         (bytes.size() % 2 != 0 ? std::string(1, '\0') : "");
}

std::string format(int tag, int channels, int bits, const std::string& more = "") {
  const int frame = channels * bits / 8;
  return chunk("fmt ", little(static_cast<uint64_t>(tag), 2) +
                           little(static_cast<uint64_t>(channels), 2) + little(8000, 4) +
                           little(static_cast<uint64_t>(8000 * frame), 4) +
                           little(static_cast<uint64_t>(frame), 2) +
                           little(static_cast<uint64_t>(bits), 2) + more);
}

std::string riff(const std::string& chunks) {
  return "RIFF" + little(chunks.size() + 4, 4) + "WAVE" + chunks;
}

TEST(Wavs, ComeBackAsTheyWere) {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.wav");
  manual_seed(1);
  for (const auto& [format, step] : {std::pair{WavSamples::PCM16, 0x1p-15},
                                     {WavSamples::PCM24, 0x1p-23},
                                     {WavSamples::Float32, 0.0}}) {
    for (const Shape& shape : {Shape{1, 1}, Shape{1, 7}, Shape{3, 40000}}) {
      const Tensor samples = sub(mul(rand(shape), 1.9), 0.95);
      EXPECT_EQ(save_wav(path, {samples, 44100, format}), 0);
      const Wav back = load_wav(path);
      EXPECT_EQ(back.sample_rate, 44100);
      EXPECT_EQ(back.format, format);
      ASSERT_EQ(back.samples.shape(), shape);
      const auto got = back.samples.to_vector<float>();
      const auto wanted = samples.to_vector<float>();
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_LE(std::abs(static_cast<double>(got[i]) - static_cast<double>(wanted[i])), step / 2);
      }
      // What was read once is what is written the next time.
      const std::string bytes = folder.read("a.wav");
      save_wav(path, back);
      EXPECT_EQ(folder.read("a.wav"), bytes);
      EXPECT_EQ(bytes.size() % 2, 0U);
    }
  }
}

TEST(Wavs, AreReadByTheBytes) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& bytes) {
    return load_wav(folder.write("b.wav", bytes)).samples.to_vector<float>();
  };
  const std::string pcm16 =
      format(1, 2, 16) +
      chunk("data", little(0x8000, 2) + little(0x7FFF, 2) + little(0x4000, 2) + little(0xFFFF, 2));
  const std::vector<float> wanted{-1, 0.5, 32767.0F / 32768, -1.0F / 32768};
  EXPECT_EQ(read(riff(pcm16)), wanted) << "channel by channel";
  EXPECT_EQ(read(riff(chunk("LIST", "odd") + pcm16 + chunk("more", "x"))), wanted);
  EXPECT_EQ(read(riff(format(1, 1, 24) + chunk("data", little(0x800000, 3) + little(0xFFFFFF, 3)))),
            (std::vector<float>{-1, -0x1p-23F}));
  EXPECT_EQ(read(riff(format(3, 1, 32) + chunk("data", little(0xC0200000, 4)))),
            std::vector<float>{-2.5F});
  // WAVE_FORMAT_EXTENSIBLE: 22 more bytes, of which the sub-format begins with the tag.
  const std::string more =
      little(22, 2) + little(16, 2) + little(3, 4) + little(1, 2) + std::string(14, 'g');
  EXPECT_EQ(read(riff(format(0xFFFE, 1, 16, more) + chunk("data", little(0x4000, 2)))),
            std::vector<float>{0.5F});
}

TEST(Wavs, ClipWhatIsBeyondTheFormat) {
  const TemporaryFolder folder;
  const std::string path = folder.path("c.wav");
  const Tensor samples = tensor<float>({1, -1, 2, -3, 0.25}, {1, 5});
  EXPECT_EQ(save_wav(path, {samples, 8000, WavSamples::PCM16}), 3) << "1 is beyond, too";
  EXPECT_EQ(load_wav(path).samples.to_vector<float>(),
            (std::vector<float>{32767.0F / 32768, -1, 32767.0F / 32768, -1, 0.25}));
  EXPECT_EQ(save_wav(path, {samples, 8000, WavSamples::Float32}), 0);
  EXPECT_EQ(load_wav(path).samples.to_vector<float>(), samples.to_vector<float>());
  for (const float bad : {NAN, INFINITY}) {
    expect_file_error(
        [&] {
          save_wav(path, {Tensor::full({1, 1}, bad), 8000, WavSamples::Float32});
        },
        {"[save_wav]", "c.wav", "not finite"});
  }
  expect_file_error(
      [&] {
        save_wav(path, {samples, 0, WavSamples::PCM16});
      },
      {"sample rate: got 0"});
  EXPECT_EQ(load_wav(path).samples.numel(), 5) << "what was there stays";
}

TEST(Wavs, ThatAreNoneAreRefused) {
  const TemporaryFolder folder;
  const auto refuses = [&](const std::string& bytes, const Parts& parts) {
    const std::string path = folder.write("d\x1b.wav", bytes);
    expect_file_error([&] { load_wav(path); }, parts);
  };
  const std::string data = chunk("data", little(0, 2));
  refuses("", {"[load_wav]", "d\\x1b.wav", "got 0 bytes"});
  refuses("OggS" + std::string(40, 'x'), {"got \"OggS", "wanted RIFF"});
  refuses(riff(""), {"no data chunk"});
  refuses(riff(data), {"wanted a fmt chunk before it"});
  refuses(riff(format(1, 1, 16)), {"no data chunk"});
  refuses(riff(format(1, 1, 16) + "data" + little(1000, 4) + "xx"),
          {"chunk \"data\"", "claims 1000 bytes, the file has 2"});
  refuses(riff(format(1, 1, 16) + "data" + little(UINT32_MAX, 4) + "xx"), {"claims 4294967295"});
  refuses(riff(format(1, 1, 16) + chunk("data", "")), {"data chunk: got 0 bytes"});
  refuses(riff(format(2, 1, 16) + data), {"tag 0x0002", "compressed"});
  refuses(riff(format(0x55, 1, 16) + data), {"tag 0x0055"});
  refuses(riff(format(1, 1, 8) + data), {"got 8 of PCM, wanted 16 or 24"});
  refuses(riff(format(1, 1, 32) + data), {"got 32 of PCM"});
  refuses(riff(format(3, 1, 64) + data), {"got 64 of float"});
  refuses(riff(format(1, 0, 16) + data), {"channels: got 0"});
  refuses(riff(chunk("fmt ", "short") + data), {"fmt chunk: got 5 bytes"});
  refuses(riff(format(0xFFFE, 1, 16) + data), {"wanted the 40 of an extensible one"});
  refuses(riff(format(3, 1, 32) + chunk("data", little(0x7FC00000, 4))), {"frame 0", "finite"});
  const std::string valid =
      riff(chunk("LIST", "odd") + format(1, 2, 24) + chunk("data", std::string(12, 'x')));
  expect_survives_mutations(
      valid, [&](const std::string& bytes) { load_wav(folder.write("e.wav", bytes)); });
}

}  // namespace
}  // namespace warptape
