#pragma once
#include "core/device/gpu.h"
#include "kernels/losses/loss_places.h"

namespace warptape {

// What the kernels of a loss read; third and mask may be null.
template <class T>
struct LossInputs {
  const T* input;
  const T* target;
  const T* third;
  const uint8_t* mask;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(input);
    visit(target);
    visit(third);
    visit(mask);
  }
};

// What a sum or a mean is divided by: a number, or one that lies on the device.
struct LossDivisor {
  double value = 1;
  const double* counted = nullptr;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(counted);
  }
};

// Where sums go.
template <class T>
struct LossSums {
  T* loss;
  double* counted;               // written by a mean over what a mask keeps, else null
  double* partials;              // of each block: its sum, and where it counts, its count
  unsigned long long* arrivals;  // 0; null for one block
  T* gradient;  // by the input, laid as that, where the loss ends the graph; null: unwanted

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(loss);
    visit(counted);
    visit(partials);
    visit(arrivals);
    visit(gradient);
  }
};

// Gradients by the input, the target and the third tensor, each laid as the input; null: unwanted.
template <class T>
struct LossGradients {
  T* data[3];
  bool add[3];

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    for (T* pointer : data) {
      visit(pointer);
    }
  }
};

// A loss's CUDA kernels. The code of `report` is that of an element that the loss refuses.
template <class Functor, class T>
struct LossCuda {
  // Blocks of the sum of so many elements.
  static int64_t blocks(int64_t elements) { return losses::loss_blocks(elements, 16 / sizeof(T)); }
  // divisor: a number, used unless the sums count.
  static void sum(const char* name, gpu::StreamHandle stream, const Functor& functor,
                  const losses::LossLoop& loop, const LossInputs<T>& in, double divisor,
                  const LossSums<T>& sums, gpu::ErrorReport* report, int code);
  static void each(const char* name, gpu::StreamHandle stream, const Functor& functor,
                   const losses::LossLoop& loop, const LossInputs<T>& in, T* y,
                   gpu::ErrorReport* report, int code);
  // dy: one element, or, if `each`, one for every element of the input. nullptr: 1, if not `each`.
  static void backward(const char* name, gpu::StreamHandle stream, const Functor& functor,
                       const losses::LossLoop& loop, const LossInputs<T>& in, const T* dy,
                       bool each, const LossDivisor& divisor, const LossGradients<T>& to);
};

}  // namespace warptape
