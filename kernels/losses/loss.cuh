#pragma once
// The CUDA kernels of a loss: `template struct LossCuda<MyFunctor, float>;` in a .cu file, and the
// same for double, compiles them. Every thread walks along the input in packs of 16 bytes; an
// element that the mask leaves out is read and not used, whatever it is.

#include "core/device/launch.h"
#include "core/device/report.cuh"
#include "kernels/losses/functors.h"
#include "kernels/losses/sum_losses.cuh"
#include "kernels/pointwise/mixed.cuh"

namespace warptape {
namespace losses {

template <class Functor>
struct LossSettings : elementwise::NoPointers {
  Functor functor;
  LossPlaces places;
};

struct Reporter {
  gpu::ErrorReport* report;
  int code;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(report);
  }
};

// What the loss of an element is made of. An element that is not kept must not be used.
template <class C>
struct LossElement {
  bool kept;
  C x;
  C target;
  C third;
};

// visit(E as a constant, place) for packs of the input and for the elements that no pack covers.
template <int E, class Visit>
__device__ void for_each_pack(const LossPlaces& places, const Visit& visit) {
  const elementwise::FlatRange& range = places.range;
  if (blockIdx.x == 0 && threadIdx.x < range.ends) {
    visit(std::integral_constant<int, 1>(), range.end_element(threadIdx.x));
  }
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < range.packs; i += step) {
    visit(std::integral_constant<int, E>(), range.head + i * E);
  }
}

// E elements of an operand beside those of the input that begin at `at`.
template <int E, class T>
__device__ simt::Pack<T, E> load_beside(const LossPlaces& places, int operand, const T* data,
                                        int64_t at) {
  if (places.lies[operand] == Lies::Along) {
    return mixed::load<E>(data + at, false);
  }
  if (places.lies[operand] != Lies::Anyhow) {
    return mixed::load<E>(data + places.offset(operand, at),
                          places.lies[operand] == Lies::Repeated);
  }
  simt::Pack<T, E> result;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    result[e] = data[places.offset(operand, at + e)];
  }
  return result;
}

// visit(e, element) for the E elements at `at`.
template <int E, class Functor, class T, class Visit>
__device__ void for_each_element(const LossSettings<Functor>& settings, const LossInputs<T>& in,
                                 int64_t at, const Visit& visit) {
  using C = Compute<T>;
  const LossPlaces& places = settings.places;
  const auto x = simt::load_pack<E>(in.input + at);
  const auto target = load_beside<E>(places, target_operand, in.target, at);
  auto mask = simt::repeat_pack<E>(uint8_t{1});
  if (in.mask != nullptr) {
    mask = load_beside<E>(places, mask_operand, in.mask, at);
  }
  auto third = simt::repeat_pack<E>(static_cast<T>(1.0f));
  if constexpr (Functor::third == Third::Leading || Functor::third == Third::Trailing) {
    if (in.third != nullptr) {
      third = load_beside<E>(places, third_operand, in.third, at);
    }
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    C own = third[e];
    if constexpr (Functor::third == Third::Levels) {
      own = static_cast<C>(settings.functor.levels[places.offset(third_operand, at + e)]);
    }
    visit(e, LossElement<C>{mask[e] != 0, x[e], target[e], own});
  }
}

// The loss of an element that is kept.
template <class Functor, class C>
__device__ C value_of(const Functor& functor, const LossElement<C>& element,
                      const Reporter& reporter) {
  if constexpr (requires { functor.refuses(element.third); }) {
    if (functor.refuses(element.third)) {
      report_fault(reporter.report, reporter.code, 0, 0);
    }
  }
  return functor.value(element.x, element.target, element.third);
}

template <int E, class Functor, class T>
__global__ void __launch_bounds__(elementwise::block_threads)
    sum_kernel(const LossSettings<Functor> __grid_constant__ settings, const LossInputs<T> in,
               double divisor, const LossSums<T> sums, const Reporter reporter) {
  double sum = 0;
  int64_t count = 0;
  for_each_pack<E>(settings.places, [&](auto size, int64_t at) {
    for_each_element<size>(settings, in, at, [&](int, const LossElement<Compute<T>>& element) {
      if (element.kept) {
        sum += static_cast<double>(value_of(settings.functor, element, reporter));
        ++count;
      }
    });
  });
  finish_sums(sum, count, divisor, sums);
}

template <int E, class Functor, class T>
__global__ void __launch_bounds__(elementwise::block_threads)
    each_kernel(const LossSettings<Functor> __grid_constant__ settings, const LossInputs<T> in,
                T* y, const Reporter reporter) {
  for_each_pack<E>(settings.places, [&](auto size, int64_t at) {
    simt::Pack<T, size> result;
    for_each_element<size>(settings, in, at, [&](int e, const LossElement<Compute<T>>& element) {
      result[e] = static_cast<T>(element.kept ? value_of(settings.functor, element, reporter)
                                              : Compute<T>(0));
    });
    simt::store_pack<size>(y + at, result);
  });
}

// Several gradients may be added up in one buffer: each is stored before the next is loaded.
template <int E, class T>
__device__ void write_gradient(T* to, bool add, const simt::Pack<Compute<T>, E>& gradient) {
  simt::Pack<T, E> result{};
  if (add) {
    result = simt::load_pack<E>(to);
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    result[e] = written(add, result[e], gradient[e]);
  }
  simt::store_pack<E>(to, result);
}

template <int E, class Functor, class T>
__global__ void __launch_bounds__(elementwise::block_threads)
    gradient_kernel(const LossSettings<Functor> __grid_constant__ settings, const LossInputs<T> in,
                    const T* dy, bool each, const LossDivisor divisor, const LossGradients<T> to) {
  using C = Compute<T>;
  const double by = divisor.counted != nullptr ? *divisor.counted : divisor.value;
  const C common = each ? C(1) : static_cast<C>(static_cast<double>(static_cast<C>(*dy)) / by);
  for_each_pack<E>(settings.places, [&](auto size, int64_t at) {
    auto factors = simt::repeat_pack<size>(common);
    if (each) {
      factors = simt::cast_pack<C>(simt::load_pack<size>(dy + at));
    }
    simt::Pack<C, size> gradients[3];
    for_each_element<size>(settings, in, at, [&](int e, const LossElement<C>& element) {
      const auto& [kept, x, target, third] = element;
      const Functor& functor = settings.functor;
      gradients[0][e] = kept ? factors[e] * functor.by_input(x, target, third) : C(0);
      gradients[1][e] = kept ? factors[e] * functor.by_target(x, target, third) : C(0);
      if constexpr (requires { functor.by_third(x, target, third); }) {
        gradients[2][e] = kept ? factors[e] * functor.by_third(x, target, third) : C(0);
      }
    });
    constexpr int operands =
        Functor::third == Third::Leading || Functor::third == Third::Trailing ? 3 : 2;
#pragma unroll
    for (int i = 0; i < operands; ++i) {
      if (to.data[i] != nullptr) {
        write_gradient<size, T>(to.data[i] + at, to.add[i], gradients[i]);
      }
    }
  });
}

// run(E as a constant, settings): packs where all that lies as the input does, `along`, is aligned
// at the same elements.
template <class Functor, class T, class Run>
void with_settings(const Functor& functor, const LossLoop& loop, const LossInputs<T>& in,
                   std::initializer_list<const T*> along, const Run& run) {
  constexpr int E = simt::pack_size<T>;
  const auto fits = [&](const T* pointer) {
    return pointer == nullptr ||
           elementwise::misalignment(pointer) == elementwise::misalignment(in.input);
  };
  const elementwise::FlatRange range = elementwise::flat_range(in.input, loop.numel());
  const auto is_aligned = [](const auto* pointer, int64_t element) {
    return reinterpret_cast<uintptr_t>(pointer + element) % (E * sizeof(*pointer)) == 0;
  };
  bool together = std::all_of(along.begin(), along.end(), fits) &&
                  (!lies_along(loop, target_operand) || fits(in.target)) &&
                  (!lies_along(loop, third_operand) || fits(in.third));
  if (in.mask != nullptr && lies_along(loop, mask_operand)) {
    together = together && is_aligned(in.mask, range.head);
  }
  const bool aligned[] = {is_aligned(in.target, 0), is_aligned(in.third, 0),
                          is_aligned(in.mask, 0)};
  if (together) {
    run(std::integral_constant<int, E>(),
        LossSettings<Functor>{{}, functor, loss_places(loop, range, E, aligned)});
  } else {
    const elementwise::FlatRange one_by_one{{}, 0, loop.numel(), 0, loop.numel()};
    run(std::integral_constant<int, 1>(),
        LossSettings<Functor>{{}, functor, loss_places(loop, one_by_one, 1, aligned)});
  }
}

inline LaunchConfig loss_launch(const char* name, gpu::StreamHandle stream, int64_t blocks) {
  return {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(elementwise::block_threads),
          .stream = stream,
          .name = name};
}

}  // namespace losses

template <class Functor, class T>
void LossCuda<Functor, T>::sum(const char* name, gpu::StreamHandle stream, const Functor& functor,
                               const losses::LossLoop& loop, const LossInputs<T>& in,
                               double divisor, const LossSums<T>& sums, gpu::ErrorReport* report,
                               int code) {
  losses::with_settings<Functor, T>(functor, loop, in, {}, [&](auto size, const auto& settings) {
    launch(losses::sum_kernel<size, Functor, T>,
           losses::loss_launch(name, stream, blocks(loop.numel())), settings, in, divisor, sums,
           losses::Reporter{report, code});
  });
}

template <class Functor, class T>
void LossCuda<Functor, T>::each(const char* name, gpu::StreamHandle stream, const Functor& functor,
                                const losses::LossLoop& loop, const LossInputs<T>& in, T* y,
                                gpu::ErrorReport* report, int code) {
  losses::with_settings<Functor, T>(functor, loop, in, {y}, [&](auto size, const auto& settings) {
    launch(losses::each_kernel<size, Functor, T>,
           losses::loss_launch(name, stream, blocks(loop.numel())), settings, in, y,
           losses::Reporter{report, code});
  });
}

template <class Functor, class T>
void LossCuda<Functor, T>::backward(const char* name, gpu::StreamHandle stream,
                                    const Functor& functor, const losses::LossLoop& loop,
                                    const LossInputs<T>& in, const T* dy, bool each,
                                    const LossDivisor& divisor, const LossGradients<T>& to) {
  losses::with_settings<Functor, T>(
      functor, loop, in, {each ? dy : nullptr, to.data[0], to.data[1], to.data[2]},
      [&](auto size, const auto& settings) {
        launch(losses::gradient_kernel<size, Functor, T>,
               losses::loss_launch(name, stream, blocks(loop.numel())), settings, in, dy, each,
               divisor, to);
      });
}

}  // namespace warptape
