#pragma once
// What ops note of themselves (profile::note in profile.h), by their tensors.

#include <initializer_list>

#include "core/profile.h"
#include "core/tape.h"

namespace warptape::profile {

// 0 of an undefined tensor.
inline int64_t bytes_of(const Tensor& tensor) {
  return tensor.defined() ? tensor.numel() * size_of(tensor.dtype()) : 0;
}

// Each tensor once, if it is not null.
inline Work moved(std::initializer_list<const Tensor*> read,
                  std::initializer_list<const Tensor*> written, int64_t flops = 0) {
  Work work{.flops = flops};
  for (const Tensor* tensor : read) {
    work.bytes_read += tensor != nullptr ? bytes_of(*tensor) : 0;
  }
  for (const Tensor* tensor : written) {
    work.bytes_written += tensor != nullptr ? bytes_of(*tensor) : 0;
  }
  return work;
}

// The same with a gradient as result, which is read where it is added to.
inline Work moved(std::initializer_list<const Tensor*> read, const GradientTarget& to,
                  int64_t flops = 0) {
  Work work = moved(read, {&to.buffer}, flops);
  work.bytes_read += to.mode == WriteMode::Accumulate ? bytes_of(to.buffer) : 0;
  return work;
}

}  // namespace warptape::profile
