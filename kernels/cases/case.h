#pragma once
// The case table of an op, which serves the correctness tests on every device, the gradient check,
// the error tests, and what measures kernels: `warptape kernel`, `warptape bench kernels` and the
// tests of both. A case file knows no test framework.

#include <functional>
#include <string>
#include <vector>

#include "core/operand.h"

namespace warptape {

// How a case's input is filled. Kinks and ties make finite differences meaningless, so ops that
// have them ask for values that keep away from them.
enum class Fill {
  Normal,        // standard normal
  Positive,      // 0.5 to 2
  AwayFromZero,  // +-(0.2 to 1.5)
  Distinct,      // a shuffled arithmetic progression: no two elements nearer than 0.01
  Labels,        // int64, 0 to classes - 1
  Condition,     // uint8, 0 or 1
  Steps,         // -1, -0.5, 0, 0.5 or 1: many are equal
};

constexpr bool is_of_integers(Fill fill) {
  return fill == Fill::Labels || fill == Fill::Condition;
}

struct CaseInput {
  Shape shape;
  Fill fill = Fill::Normal;
  bool needs_grad = true;
  // Of rank 3 and more: each case runs in both, whichever it asks for.
  MemoryFormat format = MemoryFormat::RowMajor;
  int64_t classes = 0;  // for Labels
  // The op takes no other format, and says so by a ShapeError.
  bool one_format = false;
};

// What a float32 result may differ by from the float64 reference. Exact: not at all (data
// movement). Pointwise: a few ULP per element. Reduction: norm of the difference over norm of the
// reference.
enum class Tolerance { Exact, Pointwise, Reduction };

struct OpCase {
  std::string name;
  std::vector<CaseInput> inputs;
  std::function<Tensor(const std::vector<Operand>&)> run;
  // The same values from plain loops or simpler ops, in float64; inputs and output in logical
  // order.
  std::function<Tensor(const std::vector<Tensor>&)> reference;
  Tolerance tolerance = Tolerance::Pointwise;
  bool differentiable = true;        // has a backward
  bool differentiable_twice = true;  // which can create a graph
  // How many roundings to bfloat16 a gradient has behind it: of what is saved or is made on the
  // way, and its own. The output has half as many, but one at least.
  double bfloat16_roundings = 2;
};

struct ErrorCase {
  std::string name;
  std::function<void()> run;          // must throw a warptape::Error
  std::vector<std::string> mentions;  // parts that its message must have
};

// What a profile must hold for a memory-bound kernel to be called good: nothing moves twice, and it
// moves 16 bytes a lane. One that cannot says why where it sets others.
struct MemoryBounds {
  double moved = 1.05;        // times the counted bytes, at most
  double by_16 = 0.95;        // of the counted bytes in long tensors, at least
  double efficiency = 0.95;   // at least
  double bank_factor = 1.05;  // at most
};
// Kernels whose two sides have different layouts.
inline constexpr MemoryBounds layout_bounds = {.moved = 1.1, .by_16 = 0, .efficiency = 0.9};

// Tensors on device cuda, ready to run.
struct PreparedKernels {
  std::function<void()> run;
  // Bytes of device memory that have to move: what each kernel must read or write, once.
  int64_t counted_bytes;
  // Of those, the ones in tensors of the case's shape, which are long enough for 16-byte accesses.
  int64_t wide_bytes;
  // A kernel that runs besides and is left out of the profile; empty: none. And what it moves,
  // which a clock cannot leave out.
  std::string left_out{};
  int64_t left_out_bytes = 0;
};

// What an op's kernels are measured by (measured.h helps to write it).
struct MeasuredCase {
  std::string name;  // as users type it: the op's, and what sets this case apart
  std::string runs;  // "forward and backward"
  Shape shape;       // the default, 1 MB or more in float32
  std::function<PreparedKernels(const Shape& shape, DType dtype)> prepare;
  MemoryBounds bounds{};  // at the default shape, in float32
  // Held by its plans and FLOPs, not by bytes: `bench kernels` times products of its own.
  bool is_product = false;
};

struct CaseTable {
  std::string op;
  bool has_cuda = false;  // the op runs on "cuda"; warptape_add_op knows
  std::vector<OpCase> cases{};
  std::vector<ErrorCase> errors{};
  std::vector<MeasuredCase> measured{};
};

// A float64 tensor in row-major order, indexed by logical coordinates: what references are written
// with.
class Plain {
 public:
  explicit Plain(const Shape& shape)
      : shape_(shape), values_(static_cast<size_t>(shape.numel()), 0.0) {}
  explicit Plain(const Tensor& tensor)
      : shape_(tensor.shape()), values_(tensor.to_vector<double>()) {}

  template <class... Index>
  double& operator()(Index... index) {
    return values_[offset({static_cast<int64_t>(index)...})];
  }
  template <class... Index>
  double operator()(Index... index) const {
    return values_[offset({static_cast<int64_t>(index)...})];
  }
  double& operator[](int64_t flat) { return values_[static_cast<size_t>(flat)]; }
  double operator[](int64_t flat) const { return values_[static_cast<size_t>(flat)]; }
  const Shape& shape() const { return shape_; }
  int64_t size(int dim) const { return shape_[dim]; }
  int64_t numel() const { return shape_.numel(); }
  Tensor tensor() const { return Tensor::from_vector(values_, shape_); }

 private:
  size_t offset(std::initializer_list<int64_t> index) const {
    int64_t result = 0;
    int dim = 0;
    for (int64_t i : index) {
      result = result * shape_[dim++] + i;
    }
    return static_cast<size_t>(result);
  }

  Shape shape_;
  std::vector<double> values_;
};

}  // namespace warptape
