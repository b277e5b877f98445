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

// The gradient of one operand: this product of dy and the other operand, or of the other operand
// and dy.
void backward(const MatmulProduct& p, GemmProblem problem, bool dy_is_first, const Tensor& dy,
              const Tensor& other, bool is_of_a, Tensor& gradient) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pother = other.data<T>();
    T* to = gradient.mutable_data<T>();
    Written written(gradient);
    for_each_run(p, [&](int64_t count, Batches of_y, Batches of_a, Batches of_b) {
      const Batches of_gradient = is_of_a ? of_a : of_b;
      const Batches of_other = is_of_a ? of_b : of_a;
      written.for_each_launch(count, of_gradient, [&](int64_t i, int64_t together, bool add) {
        problem.batches = together;
        const Batches target = from(of_gradient, i);
        if (dy_is_first) {
          gemm(problem, pdy, from(of_y, i), pother, from(of_other, i), add, to, target);
        } else {
          gemm(problem, pother, from(of_other, i), pdy, from(of_y, i), add, to, target);
        }
      });
    });
  });
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
  if (p.options.transpose_a) {
    backward(p, {p.options.transpose_b, true, p.k, p.m, p.n}, false, dy, b, true, da);
  } else {
    backward(p, {false, !p.options.transpose_b, p.m, p.k, p.n}, true, dy, b, true, da);
  }
}

void matmul_backward_b_cuda(const MatmulProduct& p, const Tensor& dy, const Tensor& a, Tensor& db) {
  if (p.options.transpose_b) {
    backward(p, {true, p.options.transpose_a, p.n, p.k, p.m}, true, dy, a, false, db);
  } else {
    backward(p, {!p.options.transpose_a, false, p.k, p.n, p.m}, false, dy, a, false, db);
  }
}

}  // namespace warptape
