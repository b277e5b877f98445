// The loops of losses. Chunks are summed on several threads, and the sums in order.

#include <atomic>
#include <vector>

#include "core/parallel.h"
#include "kernels/losses/loss.h"
#include "kernels/losses/table.h"

namespace warptape {
namespace {

using losses::Third;

constexpr int64_t chunk = 8192;

// visit(offset in the input, whether it is kept, x, target, third) for elements begin to end; of
// one that is not kept the values are not to be used.
template <class T, class Functor, class Visit>
void for_each_element(const Functor& functor, const LossTensors& in, int64_t begin, int64_t end,
                      const Visit& visit) {
  using C = Compute<T>;
  const T* input = in.input.data<T>();
  const T* target = in.target.data<T>();
  const T* third = in.third.defined() ? in.third.data<T>() : nullptr;
  const uint8_t* mask = in.mask.defined() ? in.mask.data<uint8_t>() : nullptr;
  in.loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t place = at[0] + i * step[0];
      const int64_t beside = at[2] + i * step[2];
      C own = 1;
      if constexpr (Functor::third == Third::Levels) {
        own = static_cast<C>(functor.levels[beside]);
      } else if constexpr (losses::has_third<Functor>) {
        own = third != nullptr ? static_cast<C>(third[beside]) : C(1);
      }
      visit(place, mask == nullptr || mask[at[3] + i * step[3]] != 0, static_cast<C>(input[place]),
            static_cast<C>(target[at[1] + i * step[1]]), own);
    }
  });
}

template <class Functor, class C>
bool is_refused(const Functor& functor, C third) {
  if constexpr (losses::refuses<Functor>) {
    return functor.refuses(third);
  } else {
    return false;
  }
}

}  // namespace

template <class Functor>
bool LossCpu<Functor>::forward(const Functor& functor, const LossTensors& in,
                               LossReduction& reduction, Tensor& y) {
  const int64_t elements = in.input.numel();
  const int64_t chunks = (elements + chunk - 1) / chunk;
  std::vector<double> sums(static_cast<size_t>(chunks), 0.0);
  std::vector<int64_t> counts(static_cast<size_t>(chunks), 0);
  std::atomic<bool> accepted = true;
  dispatch_floating(y.dtype(), [&]<class T>() {
    using C = Compute<T>;
    T* each = reduction.each ? y.mutable_data<T>() : nullptr;
    parallel_for(chunks, default_grain / chunk, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        double sum = 0;
        int64_t count = 0;
        for_each_element<T>(functor, in, i * chunk, std::min(elements, (i + 1) * chunk),
                            [&](int64_t place, bool kept, C x, C target, C third) {
                              if (kept && is_refused(functor, third)) {
                                accepted = false;
                              }
                              const C value = kept ? functor.value(x, target, third) : C(0);
                              if (each != nullptr) {
                                each[place] = static_cast<T>(value);
                              }
                              sum += static_cast<double>(value);
                              count += kept ? 1 : 0;
                            });
        sums[static_cast<size_t>(i)] = sum;
        counts[static_cast<size_t>(i)] = count;
      }
    });
    if (reduction.each) {
      return;
    }
    double sum = 0;
    double counted = 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      sum += sums[i];
      counted += static_cast<double>(counts[i]);
    }
    if (reduction.counted.defined()) {
      *reduction.counted.mutable_data<double>() = counted;
    }
    const double by = reduction.counted.defined() ? counted : reduction.divisor;
    *y.mutable_data<T>() = static_cast<T>(sum / by);
  });
  return accepted;
}

template <class Functor>
void LossCpu<Functor>::backward(const Functor& functor, const LossTensors& in, const Tensor& dy,
                                const LossReduction& reduction, LossTargets& to) {
  dispatch_floating(in.input.dtype(), [&]<class T>() {
    using C = Compute<T>;
    const T one(1);
    const T* seed = dy.defined() ? dy.data<T>() : &one;
    const double by =
        reduction.counted.defined() ? *reduction.counted.data<double>() : reduction.divisor;
    const C common =
        reduction.each ? C(1) : static_cast<C>(static_cast<double>(static_cast<C>(*seed)) / by);
    T* buffers[3] = {};
    bool add[3] = {};
    for (int i = 0; i < 3; ++i) {
      buffers[i] = to.buffers[i].defined() ? to.buffers[i].mutable_data<T>() : nullptr;
      add[i] = to.modes[i] == WriteMode::Accumulate;
    }
    const auto write = [&](int i, int64_t place, C gradient) {
      buffers[i][place] = written(add[i], buffers[i][place], gradient);
    };
    parallel_for(in.input.numel(), default_grain, [&](int64_t begin, int64_t end) {
      for_each_element<T>(
          functor, in, begin, end, [&](int64_t place, bool kept, C x, C target, C third) {
            const C factor = reduction.each ? static_cast<C>(seed[place]) : common;
            if (buffers[0] != nullptr) {
              write(0, place, kept ? factor * functor.by_input(x, target, third) : C(0));
            }
            if (buffers[1] != nullptr) {
              write(1, place, kept ? factor * functor.by_target(x, target, third) : C(0));
            }
            if constexpr (losses::has_third<Functor>) {
              if (buffers[2] != nullptr) {
                write(2, place, kept ? factor * functor.by_third(x, target, third) : C(0));
              }
            }
          });
    });
  });
}

#define WARPTAPE_INSTANTIATE(name, Functor) template struct LossCpu<losses::Functor>;
WARPTAPE_LOSSES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
