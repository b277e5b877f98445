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

// visit(place) for packs of the input.
template <int E, class Visit>
__device__ void for_each_pack(const LossPlaces& places, const Visit& visit) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < places.packs; i += step) {
    visit(i * E);
  }
}

// visit(e, element) for the E elements at `place`.
template <int E, class Functor, class T, class Visit>
__device__ void for_each_element(const LossSettings<Functor>& settings, const LossInputs<T>& in,
                                 int64_t place, const Visit& visit) {
  using C = Compute<T>;
  const LossPlaces& places = settings.places;
  int64_t at[operands_beside];
  places.find(place, at);
  const auto x = simt::load_pack<E>(in.input + place);
  const auto target =
      mixed::load<E>(in.target + at[target_operand], places.repeated[target_operand]);
  auto mask = simt::repeat_pack<E>(uint8_t{1});
  if (in.mask != nullptr) {
    mask = mixed::load<E>(in.mask + at[mask_operand], places.repeated[mask_operand]);
  }
  auto third = simt::repeat_pack<E>(static_cast<T>(1.0f));
  if constexpr (has_third<Functor>) {
    if (in.third != nullptr) {
      third = mixed::load<E>(in.third + at[third_operand], places.repeated[third_operand]);
    }
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    C own = third[e];
    if constexpr (Functor::third == Third::Levels) {
      const int64_t level = at[third_operand] + (places.repeated[third_operand] ? 0 : e);
      own = static_cast<C>(settings.functor.levels[level]);
    }
    visit(e, LossElement<C>{mask[e] != 0, x[e], target[e], own});
  }
}

// Whether an element that is kept is out of range.
template <class Functor, class C>
__device__ bool is_refused(const Functor& functor, const LossElement<C>& element) {
  if constexpr (refuses<Functor>) {
    return element.kept && functor.refuses(element.third);
  } else {
    return false;
  }
}

template <int E, class Functor, class T>
__global__ void __launch_bounds__(elementwise::block_threads)
    sum_kernel(const LossSettings<Functor> __grid_constant__ settings, const LossInputs<T> in,
               double divisor, const LossSums<T> sums, const Reporter reporter) {
  using C = Compute<T>;
  const C factor = static_cast<C>(1 / divisor);
  double sum = 0;
  int64_t count = 0;
  bool refused = false;
  for_each_pack<E>(settings.places, [&](int64_t place) {
    simt::Pack<T, E> gradient;
    for_each_element<E>(settings, in, place, [&](int e, const LossElement<C>& element) {
      const Functor& functor = settings.functor;
      C slope(0);
      if (element.kept) {
        sum += static_cast<double>(functor.value(element.x, element.target, element.third));
        slope = factor * functor.by_input(element.x, element.target, element.third);
        ++count;
      }
      gradient[e] = static_cast<T>(slope);
      refused = refused || is_refused(functor, element);
    });
    if (sums.gradient != nullptr) {
      simt::store_pack<E>(sums.gradient + place, gradient);
    }
  });
  if (refused) {
    report_fault(reporter.report, reporter.code, 0, 0);
  }
  finish_sums(sum, count, divisor, sums);
}

template <int E, class Functor, class T>
__global__ void __launch_bounds__(elementwise::block_threads)
    each_kernel(const LossSettings<Functor> __grid_constant__ settings, const LossInputs<T> in,
                T* y, const Reporter reporter) {
  bool refused = false;
  for_each_pack<E>(settings.places, [&](int64_t place) {
    simt::Pack<T, E> result;
    for_each_element<E>(settings, in, place, [&](int e, const LossElement<Compute<T>>& element) {
      result[e] = static_cast<T>(
          element.kept ? settings.functor.value(element.x, element.target, element.third)
                       : Compute<T>(0));
      refused = refused || is_refused(settings.functor, element);
    });
    simt::store_pack<E>(y + place, result);
  });
  if (refused) {
    report_fault(reporter.report, reporter.code, 0, 0);
  }
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
  const double seed = each || dy == nullptr ? 1 : static_cast<double>(static_cast<C>(*dy));
  const C common = each ? C(1) : static_cast<C>(seed / by);
  for_each_pack<E>(settings.places, [&](int64_t place) {
    auto factors = simt::repeat_pack<E>(common);
    if (each) {
      factors = simt::cast_pack<C>(simt::load_pack<E>(dy + place));
    }
    simt::Pack<C, E> gradients[3];
    for_each_element<E>(settings, in, place, [&](int e, const LossElement<C>& element) {
      const bool kept = element.kept;
      const C x = element.x;
      const C target = element.target;
      const C third = element.third;
      const Functor& functor = settings.functor;
      gradients[0][e] = kept ? factors[e] * functor.by_input(x, target, third) : C(0);
      gradients[1][e] = kept ? factors[e] * functor.by_target(x, target, third) : C(0);
      if constexpr (has_third<Functor>) {
        gradients[2][e] = kept ? factors[e] * functor.by_third(x, target, third) : C(0);
      }
    });
#pragma unroll
    for (int i = 0; i < (has_third<Functor> ? 3 : 2); ++i) {
      if (to.data[i] != nullptr) {
        write_gradient<E, T>(to.data[i] + place, to.add[i], gradients[i]);
      }
    }
  });
}

// run(E as a constant, settings): packs where they serve all operands. along: what else lies as the
// input does, or null.
template <class Functor, class T, class Run>
void with_settings(const Functor& functor, const LossLoop& loop, const LossInputs<T>& in,
                   std::initializer_list<const T*> along, const Run& run) {
  constexpr int E = simt::pack_size<T>;
  const auto is_aligned = [](const auto* pointer) {
    return reinterpret_cast<uintptr_t>(pointer) % (E * sizeof(*pointer)) == 0;
  };
  const auto serves = [&](Beside operand, bool present, bool aligned) {
    return !present || lies_of(loop, operand, E, aligned) != Lies::Anyhow;
  };
  const bool has_levels = Functor::third == Third::Levels;
  if (loop.numel() % E == 0 && is_aligned(in.input) &&
      std::all_of(along.begin(), along.end(), is_aligned) &&
      serves(target_operand, true, is_aligned(in.target)) &&
      serves(third_operand, has_levels || in.third != nullptr, is_aligned(in.third)) &&
      serves(mask_operand, in.mask != nullptr, is_aligned(in.mask))) {
    run(std::integral_constant<int, E>(), LossSettings<Functor>{{}, functor, loss_places(loop, E)});
  } else {
    run(std::integral_constant<int, 1>(), LossSettings<Functor>{{}, functor, loss_places(loop, 1)});
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
  losses::with_settings<Functor, T>(
      functor, loop, in, {sums.gradient}, [&](auto size, const auto& settings) {
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
