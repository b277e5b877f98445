#include <vector>

#include "kernels/matmul/gemm_cuda.h"
#include "kernels/matmul/matmul_kernels.h"

namespace warptape {
namespace {

// Where one operand's matrices lie over a run of batches: the first, and how many matrices on.
struct Batches {
  int64_t first;
  int64_t step;
};

// Calls body(count, y, a, b) for runs of batches with even steps.
template <class Body>
void for_each_run(const MatmulProduct& product, const Body& body) {
  product.batches.for_each_run(
      0, product.batches.numel(), [&](const auto& at, int64_t count, const auto& step) {
        body(count, Batches{at[0], step[0]}, Batches{at[1], step[1]}, Batches{at[2], step[2]});
      });
}

template <class T>
void gemm(GemmProblem problem, const T* a, Batches of_a, const T* b, Batches of_b, bool accumulate,
          T* c, Batches of_c) {
  problem.stride_a = of_a.step * problem.m * problem.k;
  problem.stride_b = of_b.step * problem.k * problem.n;
  problem.stride_c = of_c.step * problem.m * problem.n;
  a += of_a.first * problem.m * problem.k;
  b += of_b.first * problem.k * problem.n;
  c += of_c.first * problem.m * problem.n;
  const GemmEpilogue<T> epilogue{.accumulate = accumulate};
  gemm("matmul", problem, a, b, epilogue, c);
}

// Remembers which matrices of a gradient have been written.
class Written {
 public:
  explicit Written(const Tensor& gradient) {
    size_t count = 1;
    for (int d = 0; d < gradient.rank() - 2; ++d) {
      count *= static_cast<size_t>(gradient.shape()[d]);
    }
    written_.resize(count, false);
  }

  // Calls body(first of the run, how many at once, whether to add) such that no launch writes a
  // matrix twice.
  template <class Body>
  void for_each_launch(int64_t count, Batches target, const Body& body) {
    const int64_t together = target.step == 0 ? 1 : count;
    for (int64_t i = 0; i < count; i += together) {
      body(i, together, static_cast<bool>(written_[static_cast<size_t>(target.first)]));
      for (int64_t j = 0; j < together; ++j) {
        written_[static_cast<size_t>(target.first + j * target.step)] = true;
      }
    }
  }

 private:
  std::vector<bool> written_;
};

Batches from(Batches operand, int64_t i) {
  return {operand.first + i * operand.step, operand.step};
}

}  // namespace

void matmul_forward_cuda(const MatmulProduct& p, const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_floating(y.dtype(), [&]<class T>() {
    for_each_run(p, [&](int64_t count, Batches of_y, Batches of_a, Batches of_b) {
      const GemmProblem problem{p.options.transpose_a, p.options.transpose_b, p.m, p.n, p.k, count};
      gemm(problem, a.data<T>(), of_a, b.data<T>(), of_b, false, y.mutable_data<T>(), of_y);
    });
  });
}

void matmul_backward_a_cuda(const MatmulProduct& p, const Tensor& dy, const Tensor& b, Tensor& da) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pb = b.data<T>();
    T* to = da.mutable_data<T>();
    Written written(da);
    for_each_run(p, [&](int64_t count, Batches of_y, Batches of_a, Batches of_b) {
      written.for_each_launch(count, of_a, [&](int64_t i, int64_t together, bool accumulate) {
        if (p.options.transpose_a) {
          const GemmProblem problem{p.options.transpose_b, true, p.k, p.m, p.n, together};
          gemm(problem, pb, from(of_b, i), pdy, from(of_y, i), accumulate, to, from(of_a, i));
        } else {
          const GemmProblem problem{false, !p.options.transpose_b, p.m, p.k, p.n, together};
          gemm(problem, pdy, from(of_y, i), pb, from(of_b, i), accumulate, to, from(of_a, i));
        }
      });
    });
  });
}

void matmul_backward_b_cuda(const MatmulProduct& p, const Tensor& dy, const Tensor& a, Tensor& db) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pa = a.data<T>();
    T* to = db.mutable_data<T>();
    Written written(db);
    for_each_run(p, [&](int64_t count, Batches of_y, Batches of_a, Batches of_b) {
      written.for_each_launch(count, of_b, [&](int64_t i, int64_t together, bool accumulate) {
        if (p.options.transpose_b) {
          const GemmProblem problem{true, p.options.transpose_a, p.n, p.k, p.m, together};
          gemm(problem, pdy, from(of_y, i), pa, from(of_a, i), accumulate, to, from(of_b, i));
        } else {
          const GemmProblem problem{!p.options.transpose_a, false, p.k, p.n, p.m, together};
          gemm(problem, pa, from(of_a, i), pdy, from(of_y, i), accumulate, to, from(of_b, i));
        }
      });
    });
  });
}

}  // namespace warptape
