// Convolution in readable loops, with oneDNN in front for float and bfloat16. Images are
// channels-last and the filters are turned to (group, kH, kW, C / groups, O / groups), so that the
// innermost loop runs along output channels. Sums are float64.

#include <bit>
#include <vector>

#include "core/clones.h"
#include "core/parallel.h"
#include "core/widened.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/vendor/onednn.h"

namespace warptape {
namespace {

// (O, C / groups, kH, kW) -> (group, kH, kW, C / groups, O / groups), as double.
template <class T>
std::vector<double> pack_filters(const Tensor& weight, const ConvGeometry& g) {
  const T* from = weight.data<T>();
  std::vector<double> packed(static_cast<size_t>(weight.numel()));
  const int64_t in = g.in_per_group();
  const int64_t out = g.out_per_group();
  const int64_t taps = g.taps();
  for (int64_t o = 0; o < g.out_channels; ++o) {
    for (int64_t c = 0; c < in; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t group = o / out;
        packed[static_cast<size_t>((((group * taps) + tap) * in + c) * out + o % out)] =
            from[(o * in + c) * taps + tap];
      }
    }
  }
  return packed;
}

// Calls body(tap, offset of the input pixel) for the taps of one output pixel that lie in the
// image.
template <class Body>
void for_each_tap(const ConvGeometry& g, int64_t n, int64_t oh, int64_t ow, const Body& body) {
  const WindowAxis& y = g.vertical();
  const WindowAxis& x = g.horizontal();
  for (int64_t r = 0; r < y.kernel; ++r) {
    const int64_t ih = y.element(oh, r);
    if (ih < 0 || ih >= y.size) {
      continue;
    }
    for (int64_t s = 0; s < x.kernel; ++s) {
      const int64_t iw = x.element(ow, s);
      if (iw >= 0 && iw < x.size) {
        body(r * x.kernel + s, ((n * y.size + ih) * x.size + iw) * g.in_channels);
      }
    }
  }
}

// How many indices of a loop, each of `work` multiplications, a thread should have at least: waking
// threads for less costs more than it saves, and beside other programs far more.
int64_t grain_of(int64_t work) {
  return default_grain / (work + 1) + 1;
}

// Multiplications of one output pixel.
int64_t work_of_pixel(const ConvGeometry& g) {
  return g.taps() * g.in_per_group() * g.out_channels;
}

template <class T>
void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
             Tensor& y) {
  const std::vector<double> filters = pack_filters<T>(weight, g);
  const T* px = x.data<T>();
  const Compute<T>* pb = bias.defined() ? bias.data<Compute<T>>() : nullptr;
  T* py = y.mutable_data<T>();
  const int64_t in = g.in_per_group();
  const int64_t out = g.out_per_group();
  const int64_t out_height = g.vertical().out;
  const int64_t out_width = g.horizontal().out;
  const int64_t taps = g.taps();
  const int64_t grain = grain_of(out_width * work_of_pixel(g));
  parallel_for(g.batch * out_height, grain, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(out));
    for (int64_t line = begin; line < end; ++line) {
      const int64_t n = line / out_height;
      const int64_t oh = line % out_height;
      for (int64_t ow = 0; ow < out_width; ++ow) {
        for (int64_t group = 0; group < g.groups; ++group) {
          for (int64_t o = 0; o < out; ++o) {
            sums[static_cast<size_t>(o)] = pb != nullptr ? pb[group * out + o] : 0.0;
          }
          for_each_tap(g, n, oh, ow, [&](int64_t tap, int64_t pixel) {
            const T* values = px + pixel + group * in;
            const double* filter = filters.data() + (group * taps + tap) * in * out;
            for (int64_t c = 0; c < in; ++c) {
              const double value = values[c];
              for (int64_t o = 0; o < out; ++o) {
                sums[static_cast<size_t>(o)] += value * filter[c * out + o];
              }
            }
          });
          T* to = py + (line * out_width + ow) * g.out_channels + group * out;
          for (int64_t o = 0; o < out; ++o) {
            to[o] = static_cast<T>(sums[static_cast<size_t>(o)]);
          }
        }
      }
    }
  });
}

template <class T>
void data_grad(const Tensor& dy, const Tensor& weight, const Tensor& bias, const ConvGeometry& g,
               Tensor& dx) {
  const std::vector<double> filters = pack_filters<T>(weight, g);
  const T* pdy = dy.data<T>();
  const Compute<T>* pb = bias.defined() ? bias.data<Compute<T>>() : nullptr;
  T* pdx = dx.mutable_data<T>();
  const int64_t in = g.in_per_group();
  const int64_t out = g.out_per_group();
  const int64_t out_height = g.vertical().out;
  const int64_t out_width = g.horizontal().out;
  const int64_t taps = g.taps();
  const int64_t image = g.pixels() * g.in_channels;
  const int64_t grain = grain_of(g.out_pixels() * work_of_pixel(g));
  parallel_for(g.batch, grain, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(image));
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t i = 0; i < image; ++i) {
        sums[static_cast<size_t>(i)] = pb != nullptr ? pb[i % g.in_channels] : 0.0;
      }
      for (int64_t oh = 0; oh < out_height; ++oh) {
        for (int64_t ow = 0; ow < out_width; ++ow) {
          const T* from = pdy + ((n * out_height + oh) * out_width + ow) * g.out_channels;
          for_each_tap(g, 0, oh, ow, [&](int64_t tap, int64_t pixel) {
            for (int64_t group = 0; group < g.groups; ++group) {
              const double* filter = filters.data() + (group * taps + tap) * in * out;
              for (int64_t c = 0; c < in; ++c) {
                double sum = 0;
                for (int64_t o = 0; o < out; ++o) {
                  sum += from[group * out + o] * filter[c * out + o];
                }
                sums[static_cast<size_t>(pixel + group * in + c)] += sum;
              }
            }
          });
        }
      }
      for (int64_t i = 0; i < image; ++i) {
        pdx[n * image + i] = static_cast<T>(sums[static_cast<size_t>(i)]);
      }
    }
  });
}

template <class T>
void weight_grad(const Tensor& dy, const Tensor& x, const ConvGeometry& g, Tensor& dweight) {
  const T* pdy = dy.data<T>();
  const T* px = x.data<T>();
  auto* to = dweight.mutable_data<Compute<T>>();
  const int64_t in = g.in_per_group();
  const int64_t out = g.out_per_group();
  const int64_t out_height = g.vertical().out;
  const int64_t out_width = g.horizontal().out;
  const int64_t taps = g.taps();
  // A thread owns whole input channels of the filters, so that the result does not depend on how
  // many threads there are.
  const int64_t grain = grain_of(g.batch * g.out_pixels() * taps * out);
  parallel_for(g.in_channels, grain, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>((end - begin) * taps * out), 0.0);
    for (int64_t pixel_out = 0; pixel_out < g.batch * g.out_pixels(); ++pixel_out) {
      const int64_t n = pixel_out / (g.out_pixels());
      const int64_t oh = pixel_out / out_width % out_height;
      const int64_t ow = pixel_out % out_width;
      const T* from = pdy + pixel_out * g.out_channels;
      for_each_tap(g, n, oh, ow, [&](int64_t tap, int64_t pixel) {
        for (int64_t c = begin; c < end; ++c) {
          const double value = px[pixel + c];
          const T* gradient = from + c / in * out;
          double* sum = sums.data() + ((c - begin) * taps + tap) * out;
          for (int64_t o = 0; o < out; ++o) {
            sum[o] += value * gradient[o];
          }
        }
      });
    }
    for (int64_t c = begin; c < end; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t o = 0; o < out; ++o) {
          to[((c / in * out + o) * in + c % in) * taps + tap] = static_cast<Compute<T>>(
              sums[static_cast<size_t>(((c - begin) * taps + tap) * out + o)]);
        }
      }
    }
  });
}

// float32, channels-last.
void add_bias(const Tensor& bias, Tensor& to) {
  const int64_t channels = bias.numel();
  const int64_t pixels = to.numel() / channels;
  const float* from = bias.data<float>();
  float* sums = to.mutable_data<float>();
  parallel_for(pixels, grain_of(channels), [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      for (int64_t c = 0; c < channels; ++c) {
        sums[pixel * channels + c] += from[c];
      }
    }
  });
}

// Whether oneDNN wrote `to`: from operands as they are, or else from float32 copies of bfloat16.
// run(operand, to) asks it; operand(t) is what t is given as.
template <class Run>
bool by_onednn(DType dtype, const ConvGeometry& geometry, Tensor& to, const Run& run) {
  if (!onednn_is_used() || geometry.empty()) {
    return false;
  }
  const auto as_it_is = [](const Tensor& t) { return t; };
  if (onednn_takes(dtype) && run(as_it_is, to)) {
    return true;
  }
  return dtype == bfloat16 && through_wide(to, [&](Tensor& wide) { return run(&widened, wide); });
}

}  // namespace

void conv2d_forward_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvGeometry& geometry, Tensor& y) {
  if (by_onednn(x.dtype(), geometry, y, [&](auto operand, Tensor& to) {
        return conv2d_forward_onednn(operand(x), operand(weight), bias, geometry, to);
      })) {
    return;
  }
  dispatch_floating(x.dtype(), [&]<class T>() { forward<T>(x, weight, bias, geometry, y); });
}

void conv2d_data_grad_cpu(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                          const ConvGeometry& geometry, Tensor& dx) {
  const auto run = [&](auto operand, Tensor& to) {
    // A bias is added to what is not rounded yet.
    if (bias.defined() && to.dtype() != float32) {
      return false;
    }
    const bool is_done = conv2d_data_grad_onednn(operand(dy), operand(weight), geometry, to);
    if (is_done && bias.defined()) {
      add_bias(bias, to);
    }
    return is_done;
  };
  if (!by_onednn(dy.dtype(), geometry, dx, run)) {
    dispatch_floating(dy.dtype(), [&]<class T>() { data_grad<T>(dy, weight, bias, geometry, dx); });
  }
}

void conv2d_weight_grad_cpu(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                            Tensor& dweight) {
  if (by_onednn(dy.dtype(), geometry, dweight, [&](auto operand, Tensor& to) {
        return conv2d_weight_grad_onednn(operand(dy), operand(x), geometry, to);
      })) {
    return;
  }
  dispatch_floating(dy.dtype(), [&]<class T>() { weight_grad<T>(dy, x, geometry, dweight); });
}

namespace {

template <class T>
WARPTAPE_INLINE void add_pixels(const T* __restrict from, int64_t pixels, int64_t channels,
                                double* __restrict sums) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      sums[c] += from[p * channels + c];
    }
  }
}

// The usual types once per instruction set; overload resolution prefers these.
WARPTAPE_CLONES void add_pixels(const float* __restrict from, int64_t pixels, int64_t channels,
                                double* __restrict sums) {
  add_pixels<float>(from, pixels, channels, sums);
}
WARPTAPE_CLONES void add_pixels(const simt::bfloat16* __restrict from, int64_t pixels,
                                int64_t channels, double* __restrict sums) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const uint32_t bits = static_cast<uint32_t>(from[p * channels + c].bits) << 16;
      sums[c] += std::bit_cast<float>(bits);
    }
  }
}

}  // namespace

void conv2d_bias_grad_cpu(const Tensor& dy, Tensor& dbias) {
  const int64_t channels = dbias.numel();
  const int64_t pixels = channels == 0 ? 0 : dy.numel() / channels;
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* from = dy.data<T>();
    auto* to = dbias.mutable_data<Compute<T>>();
    // Blocks of fixed size, added in a fixed order: the same sum for any number of threads.
    constexpr int64_t block = 4096;
    const int64_t blocks = (pixels + block - 1) / block;
    std::vector<double> sums(static_cast<size_t>(blocks * channels), 0.0);
    parallel_for(blocks, grain_of(block * channels), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        add_pixels(from + b * block * channels, std::min(block, pixels - b * block), channels,
                   sums.data() + b * channels);
      }
    });
    for (int64_t c = 0; c < channels; ++c) {
      double total = 0;
      for (int64_t b = 0; b < blocks; ++b) {
        total += sums[static_cast<size_t>(b * channels + c)];
      }
      to[c] = static_cast<Compute<T>>(total);
    }
  });
}

}  // namespace warptape
