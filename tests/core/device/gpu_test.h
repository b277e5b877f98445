#pragma once
// What the tests of the device seam share. They run on both halves; with the CUDA half on a machine
// without a GPU they are skipped.

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/device/gpu.h"

namespace warptape {

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string reason;
    if (gpu::device_count(&reason) == 0) {
      GTEST_SKIP() << reason;
    }
  }
};

// Floats on the device, from allocate to deallocate on one stream.
class DeviceFloats {
 public:
  DeviceFloats(int64_t n, gpu::StreamHandle stream)
      : n_(n), stream_(stream), data_(static_cast<float*>(gpu::allocate(bytes(), stream))) {}
  DeviceFloats(const std::vector<float>& values, gpu::StreamHandle stream)
      : DeviceFloats(static_cast<int64_t>(values.size()), stream) {
    gpu::copy_from_host(data_, values.data(), bytes(), stream);
  }
  ~DeviceFloats() { gpu::deallocate(data_, stream_); }
  DeviceFloats(const DeviceFloats&) = delete;
  DeviceFloats& operator=(const DeviceFloats&) = delete;

  float* data() const { return data_; }
  int64_t size() const { return n_; }
  size_t bytes() const { return static_cast<size_t>(n_) * sizeof(float); }
  std::vector<float> to_host(gpu::StreamHandle stream) const {
    std::vector<float> values(static_cast<size_t>(n_));
    gpu::copy_to_host(values.data(), data_, bytes(), stream);
    return values;
  }
  std::vector<float> to_host() const { return to_host(stream_); }

 private:
  int64_t n_;
  gpu::StreamHandle stream_;
  float* data_;
};

// Pinned floats on the host.
class PinnedFloats {
 public:
  PinnedFloats(int64_t n, float value)
      : n_(n), data_(static_cast<float*>(gpu::allocate_pinned(bytes()))) {
    std::fill_n(data_, n, value);
  }
  ~PinnedFloats() { gpu::deallocate_pinned(data_); }
  PinnedFloats(const PinnedFloats&) = delete;
  PinnedFloats& operator=(const PinnedFloats&) = delete;

  float* data() const { return data_; }
  float& operator[](int64_t i) { return data_[i]; }
  size_t bytes() const { return static_cast<size_t>(n_) * sizeof(float); }

 private:
  int64_t n_;
  float* data_;
};

inline std::vector<float> floats(int64_t n, float value) {
  return std::vector<float>(static_cast<size_t>(n), value);
}

}  // namespace warptape
