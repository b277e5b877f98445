#include <algorithm>
#include <atomic>

#include "kernels/streaming/instructions.h"
#include "kernels/streaming/stages.h"

namespace warptape::streaming {
namespace {

const StepLevel* level_of(LineInstructions instructions) {
#if defined(__x86_64__)
  switch (instructions) {
    case LineInstructions::Avx512:
      return &avx512::level;
    case LineInstructions::Avx2:
      return &avx2::level;
    default:
      break;
  }
#else
  static_cast<void>(instructions);
#endif
  return &baseline::level;
}

std::atomic<const StepLevel*>& level_in_use() {
  static std::atomic<const StepLevel*> level{level_of(best_line_instructions())};
  return level;
}

template <class T>
int64_t lanes_of(const StepLevel& level) {
  return sizeof(T) == sizeof(float) ? level.of_float.lanes : level.of_double.lanes;
}

int64_t round_up(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// Blocks of outputs of two vectors, the last one of a group of one where that is enough; zeros
// behind the last output of a group.
template <class T>
void pack_in_blocks(const Tensor& weight, const Tensor& bias, Filters& filters) {
  const int64_t lanes = lanes_of<T>(*filters.level);
  const int64_t outputs = filters.out_channels / filters.groups;
  const int64_t channels = filters.in_channels / filters.groups;
  const int64_t padded = round_up(outputs, lanes);
  filters.weights =
      Tensor::zeros({filters.groups * padded * channels * filters.taps}, weight.dtype());
  filters.bias = Tensor::zeros({filters.groups * padded}, weight.dtype());
  const T* from = weight.data<T>();
  T* to = filters.weights.mutable_data<T>();
  T* to_bias = filters.bias.mutable_data<T>();
  for (int64_t group = 0; group < filters.groups; ++group) {
    for (int64_t begin = 0; begin < padded; begin += 2 * lanes) {
      const int64_t width = std::min(2 * lanes, padded - begin);
      for (int64_t k = 0; k < filters.taps; ++k) {
        for (int64_t c = 0; c < channels; ++c, to += width) {
          for (int64_t a = begin; a < std::min(begin + width, outputs); ++a) {
            to[a - begin] = from[((group * outputs + a) * channels + c) * filters.taps + k];
          }
        }
      }
    }
    if (bias.defined()) {
      std::copy_n(bias.data<T>() + group * outputs, outputs, to_bias + group * padded);
    }
  }
}

template <class T>
void pack_for_cuda(const Tensor& weight, const Tensor& bias, Filters& filters, Device device) {
  const int64_t channels = filters.in_channels / filters.groups;
  std::vector<T> packed(static_cast<size_t>(weight.numel()));
  T* to = packed.data();
  for (int64_t k = 0; k < filters.taps; ++k) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t o = 0; o < filters.out_channels; ++o) {
        *to++ = weight.data<T>()[(o * channels + c) * filters.taps + k];
      }
    }
  }
  filters.weights = Tensor::from_vector(packed, {weight.numel()}).to(device);
  filters.bias = bias.defined() ? bias.to(device)
                                : Tensor::zeros({filters.out_channels}, weight.dtype(), device);
}

}  // namespace

void use_step_instructions(LineInstructions instructions) {
  level_in_use() = level_of(std::min(instructions, best_line_instructions()));
}

Filters pack_filters(const Tensor& weight, const Tensor& bias, int64_t groups, int64_t dilation,
                     Device device) {
  Filters filters;
  filters.out_channels = weight.size(0);
  filters.in_channels = weight.size(1) * groups;
  filters.groups = groups;
  filters.taps = weight.size(2);
  filters.dilation = filters.taps == 1 ? 0 : dilation;
  const auto pack = [&]<class T>(T) {
    if (device.type == DeviceType::CPU) {
      filters.level = level_in_use();
      pack_in_blocks<T>(weight, bias, filters);
    } else {
      pack_for_cuda<T>(weight, bias, filters, device);
    }
  };
  weight.dtype() == float64 ? pack(double()) : pack(float());
  return filters;
}

}  // namespace warptape::streaming
