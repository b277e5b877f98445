#pragma once
// Memory of loops along lines.

#include <cstdint>
#include <memory>

namespace warptape::lines {

// Floats that begin with a line of a cache; not initialised.
class AlignedRoom {
 public:
  explicit AlignedRoom(int64_t floats)
      : room_(new float[static_cast<size_t>(floats + floats_of_line)]) {
    const auto address = reinterpret_cast<uintptr_t>(room_.get()) / sizeof(float);
    first_ = room_.get() + (floats_of_line - address % floats_of_line) % floats_of_line;
  }
  AlignedRoom(const AlignedRoom&) = delete;
  AlignedRoom& operator=(const AlignedRoom&) = delete;

  float* data() { return first_; }

 private:
  static constexpr int64_t floats_of_line = 16;

  std::unique_ptr<float[]> room_;
  float* first_;
};

}  // namespace warptape::lines
