// Convolution on oneDNN, in float32 and bfloat16. Primitives are made once per geometry and number
// of threads and kept by the thread that uses them; filters, which are small, are brought into the
// primitive's layout at each call.

#include <compare>
#include <optional>

#include "core/parallel.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/vendor/onednn_common.h"

namespace warptape {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// What a primitive depends on.
struct Key {
  ConvGeometry geometry;
  DType dtype;
  bool bias = false;
  int threads = num_threads();

  auto operator<=>(const Key&) const = default;
};

struct Descriptions {
  memory::desc x, weight, bias, y;  // weight in any layout
  memory::desc plain_weight;        // as our tensors have it
  memory::dims stride, dilation, padding_begin, padding_end;
};

// The gradient of the filters and the bias are float32 in bfloat16, too.
Descriptions describe(const ConvGeometry& g, DType dtype, DType weight_dtype) {
  const WindowAxis& y = g.vertical();
  const WindowAxis& x = g.horizontal();
  const bool grouped = g.groups > 1;
  memory::dims weight{g.out_channels, g.in_channels, y.kernel, x.kernel};
  if (grouped) {
    weight = {g.groups, g.out_per_group(), g.in_per_group(), y.kernel, x.kernel};
  }
  // Output rows beyond the last window are not there, so the end padding is what the last one
  // reaches.
  const auto end = [](const WindowAxis& axis) {
    return axis.element(axis.out - 1, axis.kernel - 1) + 1 - axis.size;
  };
  const auto images = onednn_type(dtype);
  const auto filters = onednn_type(weight_dtype);
  return {.x = {{g.batch, g.in_channels, y.size, x.size}, images, Tag::nhwc},
          .weight = {weight, filters, Tag::any},
          .bias = {{g.out_channels}, memory::data_type::f32, Tag::a},
          .y = {{g.batch, g.out_channels, y.out, x.out}, images, Tag::nhwc},
          .plain_weight = {weight, filters, grouped ? Tag::goihw : Tag::oihw},
          .stride = {y.stride, x.stride},
          .dilation = {y.dilation - 1, x.dilation - 1},
          .padding_begin = {y.padding_before, x.padding_before},
          .padding_end = {end(y), end(x)}};
}

dnnl::convolution_forward::primitive_desc describe_forward(const Descriptions& d, bool bias) {
  return {onednn_engine(),
          dnnl::prop_kind::forward_training,
          dnnl::algorithm::convolution_direct,
          d.x,
          d.weight,
          bias ? d.bias : memory::desc(),
          d.y,
          d.stride,
          d.dilation,
          d.padding_begin,
          d.padding_end};
}

// A primitive with the layouts it chose, or no primitive where oneDNN has only its slow fallback.
struct Kept {
  std::optional<dnnl::primitive> primitive{};
  memory::desc weight{};        // the primitive's layout of the filters
  memory::desc plain_weight{};  // ours
  memory::desc x{}, y{};        // the primitive's layouts of the images
  memory::desc bias{};
};

memory wrap(const memory::desc& desc, const Tensor& tensor) {
  return {desc, onednn_engine(), const_cast<void*>(tensor.raw_data())};
}

// Room for a primitive's own layout, from our allocator.
Tensor scratch(const memory::desc& desc) {
  return Tensor::empty({static_cast<int64_t>(desc.get_size())}, uint8);
}

// `memory` in the wanted layout; `room` keeps the copy alive where one is made.
memory in_layout(memory from, const memory::desc& wanted, Tensor& room) {
  if (from.get_desc() == wanted) {
    return from;
  }
  room = scratch(wanted);
  memory to = wrap(wanted, room);
  dnnl::reorder(from, to).execute(onednn_stream(), from, to);
  return to;
}

// Whether some window has an element of x under this tap.
bool tap_reaches(const WindowAxis& axis, int64_t tap) {
  const int64_t first = axis.element(0, tap);
  const int64_t window = first >= 0 ? 0 : (-first + axis.stride - 1) / axis.stride;
  return window < axis.out && first + window * axis.stride < axis.size;
}

// Taps that only ever lie in the padding have no gradient. oneDNN 3.2 leaves there, of bfloat16
// with strides, what its memory held before.
void clear_taps_in_padding(const ConvGeometry& g, Tensor& dweight) {
  const WindowAxis& y = g.vertical();
  const WindowAxis& x = g.horizontal();
  const int64_t filters = dweight.numel() / g.taps();
  for (int64_t r = 0; r < y.kernel; ++r) {
    for (int64_t s = 0; s < x.kernel; ++s) {
      if (tap_reaches(y, r) && tap_reaches(x, s)) {
        continue;
      }
      float* to = dweight.mutable_data<float>() + r * x.kernel + s;
      for (int64_t filter = 0; filter < filters; ++filter) {
        to[filter * g.taps()] = 0;
      }
    }
  }
}

}  // namespace

bool conv2d_forward_onednn(const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const ConvGeometry& geometry, Tensor& y) {
  thread_local PrimitiveCache<Key, Kept> cache;
  const bool has_bias = bias.defined();
  const Kept& entry = cache.get(Key{geometry, x.dtype(), has_bias}, [&] {
    const Descriptions d = describe(geometry, x.dtype(), x.dtype());
    const auto desc = describe_forward(d, has_bias);
    Kept made{{}, desc.weights_desc(), d.plain_weight, desc.src_desc(), desc.dst_desc(), d.bias};
    if (!is_reference_implementation(desc.impl_info_str())) {
      made.primitive = dnnl::convolution_forward(desc);
    }
    return made;
  });
  if (!entry.primitive) {
    return false;
  }
  Tensor weight_room;
  y.bump_version();
  std::unordered_map<int, memory> arguments{
      {DNNL_ARG_SRC, wrap(entry.x, x)},
      {DNNL_ARG_WEIGHTS, in_layout(wrap(entry.plain_weight, weight), entry.weight, weight_room)},
      {DNNL_ARG_DST, wrap(entry.y, y)}};
  if (has_bias) {
    arguments.emplace(DNNL_ARG_BIAS, wrap(entry.bias, bias));
  }
  entry.primitive->execute(onednn_stream(), arguments);
  onednn_stream().wait();
  return true;
}

bool conv2d_data_grad_onednn(const Tensor& dy, const Tensor& weight, const ConvGeometry& geometry,
                             Tensor& dx) {
  thread_local PrimitiveCache<Key, Kept> cache;
  const Kept& entry = cache.get(Key{geometry, dy.dtype()}, [&] {
    const Descriptions d = describe(geometry, dy.dtype(), dy.dtype());
    const dnnl::convolution_backward_data::primitive_desc desc(
        onednn_engine(), dnnl::algorithm::convolution_direct, d.x, d.weight, d.y, d.stride,
        d.dilation, d.padding_begin, d.padding_end, describe_forward(d, false));
    Kept made{{}, desc.weights_desc(), d.plain_weight, desc.diff_src_desc(), desc.diff_dst_desc()};
    if (!is_reference_implementation(desc.impl_info_str())) {
      made.primitive = dnnl::convolution_backward_data(desc);
    }
    return made;
  });
  if (!entry.primitive) {
    return false;
  }
  Tensor weight_room;
  dx.bump_version();
  entry.primitive->execute(
      onednn_stream(),
      {{DNNL_ARG_DIFF_DST, wrap(entry.y, dy)},
       {DNNL_ARG_WEIGHTS, in_layout(wrap(entry.plain_weight, weight), entry.weight, weight_room)},
       {DNNL_ARG_DIFF_SRC, wrap(entry.x, dx)}});
  onednn_stream().wait();
  return true;
}

bool conv2d_weight_grad_onednn(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                               Tensor& dweight) {
  thread_local PrimitiveCache<Key, Kept> cache;
  const Kept& entry = cache.get(Key{geometry, dy.dtype()}, [&] {
    const Descriptions d = describe(geometry, dy.dtype(), float32);
    const dnnl::convolution_backward_weights::primitive_desc desc(
        onednn_engine(), dnnl::algorithm::convolution_direct, d.x, d.weight, d.y, d.stride,
        d.dilation, d.padding_begin, d.padding_end,
        describe_forward(describe(geometry, dy.dtype(), dy.dtype()), false));
    Kept made{{}, desc.diff_weights_desc(), d.plain_weight, desc.src_desc(), desc.diff_dst_desc()};
    if (!is_reference_implementation(desc.impl_info_str())) {
      made.primitive = dnnl::convolution_backward_weights(desc);
    }
    return made;
  });
  if (!entry.primitive) {
    return false;
  }
  const memory plain = wrap(entry.plain_weight, dweight);
  const bool direct = entry.weight == entry.plain_weight;
  Tensor room = direct ? Tensor() : scratch(entry.weight);
  memory result = direct ? plain : wrap(entry.weight, room);
  dweight.bump_version();
  entry.primitive->execute(onednn_stream(), {{DNNL_ARG_DIFF_DST, wrap(entry.y, dy)},
                                             {DNNL_ARG_SRC, wrap(entry.x, x)},
                                             {DNNL_ARG_DIFF_WEIGHTS, result}});
  if (!direct) {
    memory target = plain;
    dnnl::reorder(result, target).execute(onednn_stream(), result, target);
  }
  onednn_stream().wait();
  clear_taps_in_padding(geometry, dweight);
  return true;
}

}  // namespace warptape
