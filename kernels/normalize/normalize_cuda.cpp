#include "kernels/normalize/normalize_cuda.h"

#include "kernels/normalize/run_cuda.h"

namespace warptape::normalize {
namespace {

bool are_aligned(std::initializer_list<const Tensor*> tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const Tensor* tensor) {
    return elementwise::misalignment(tensor->raw_data()) == 0;
  });
}

// What blocks that share a set leave for the last of them.
struct Scratch {
  template <class T>
  Scratch(const SetsPlan& plan, const T*, Device device) {
    constexpr int pack = 16 / static_cast<int>(sizeof(T));
    if (plan.chunks == 1) {
      return;
    }
    sums_ = Tensor::empty({2 * plan.partials(pack)}, float64, device);
    arrivals_ = Tensor::empty({plan.counters()}, int64, device);
    sums = reinterpret_cast<Sums*>(sums_.mutable_data<double>());
    arrivals = reinterpret_cast<unsigned long long*>(arrivals_.mutable_data<int64_t>());
    gpu::fill_bytes(arrivals, 0, static_cast<size_t>(arrivals_.bytes()), gpu::current_stream());
  }

  Sums* sums = nullptr;
  unsigned long long* arrivals = nullptr;

 private:
  Tensor sums_;
  Tensor arrivals_;
};

}  // namespace

template <class T>
void statistics_cuda(const char* name, const Tensor& x, const Sets& sets,
                     const KeepStatistics<Compute<T>>& keep) {
  const T* px = x.data<T>();
  const SetsPlan plan = make_sets_plan<T>(sets, are_aligned({&x}));
  const Scratch scratch(plan, px, x.device());
  NormalizeCuda<T>::statistics(name, gpu::current_stream(), plan, px, keep, scratch.sums,
                               scratch.arrivals);
}

template <class T>
void keep_running_cuda(const char* name, const StatisticsSource<Compute<T>>& source, int64_t count,
                       Statistics* kept) {
  NormalizeCuda<T>::keep_running(name, gpu::current_stream(), source, count, kept);
}

template <class T>
void gradients_cuda(const char* name, const Tensor& dy, const Tensor& x, const Sets& sets,
                    const Statistics* statistics, const StatisticsIndex& index,
                    const KeepGradients<Compute<T>>& keep) {
  const T* px = x.data<T>();
  const SetsPlan plan = make_sets_plan<T>(sets, are_aligned({&dy, &x}));
  const Scratch scratch(plan, px, x.device());
  NormalizeCuda<T>::gradients(name, gpu::current_stream(), plan, dy.data<T>(), px, statistics,
                              index, keep, scratch.sums, scratch.arrivals);
}

template <class T>
void apply_cuda(const char* name, const Tensor& x, const Sets& sets, const Normalize<T>& op,
                Tensor& y, bool add) {
  const SetsPlan plan = make_sets_plan<T>(sets, are_aligned({&x, &y}));
  NormalizeCuda<T>::apply(name, gpu::current_stream(), plan, op, x.data<T>(), y.mutable_data<T>(),
                          add);
}

template <class T>
void apply_gradient_cuda(const char* name, const Tensor& dy, const Tensor& x, const Sets& sets,
                         const NormalizeGradient<T>& op, Tensor& dx, bool add) {
  const SetsPlan plan = make_sets_plan<T>(sets, are_aligned({&dy, &x, &dx}));
  NormalizeCuda<T>::apply_gradient(name, gpu::current_stream(), plan, op, dy.data<T>(), x.data<T>(),
                                   dx.mutable_data<T>(), add);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                    \
  template void statistics_cuda<T>(const char*, const Tensor&, const Sets&,                     \
                                   const KeepStatistics<Compute<T>>&);                          \
  template void keep_running_cuda<T>(const char*, const StatisticsSource<Compute<T>>&, int64_t, \
                                     Statistics*);                                              \
  template void gradients_cuda<T>(const char*, const Tensor&, const Tensor&, const Sets&,       \
                                  const Statistics*, const StatisticsIndex&,                    \
                                  const KeepGradients<Compute<T>>&);                            \
  template void apply_cuda<T>(const char*, const Tensor&, const Sets&, const Normalize<T>&,     \
                              Tensor&, bool);                                                   \
  template void apply_gradient_cuda<T>(const char*, const Tensor&, const Tensor&, const Sets&,  \
                                       const NormalizeGradient<T>&, Tensor&, bool);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::normalize
