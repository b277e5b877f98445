// What the variants of a case notice: ops with planted mistakes, which pass everything else.

#include "tests/kernels/case_variants.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "core/check.h"
#include "core/primitives.h"
#include "core/tape.h"
#include "tests/kernels/gradient_check.h"

namespace warptape {
namespace {

enum class Mistake {
  None,
  ForwardTakesMemoryOrder,   // row n of a channels-last input is not the n-th run of memory
  BackwardTakesMemoryOrder,  // of the input's gradient
  InputMustBeAligned,
  ScaleMustBeAligned,
  GradientMustBeAligned,
  OutputGradientMustBeAligned,
  OutputMustBeAligned,
};

bool is_aligned(const Tensor& x) {
  return reinterpret_cast<uintptr_t>(x.raw_data()) % 16 == 0;
}

// What a kernel that takes alignment for granted does, on a device that says nothing.
void write_rubbish(Tensor& x) {
  primitives::fill(x, 7);
}

// to[i] = s[i / length] * x[i] in memory order, or added to that.
void scale(const Tensor& x, const Tensor& s, GradientTarget to, int64_t length) {
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* px = x.data<T>();
    const T* ps = s.data<T>();
    T* py = to.buffer.mutable_data<T>();
    const bool add = to.mode == WriteMode::Accumulate;
    for (int64_t i = 0; i < x.numel(); ++i) {
      py[i] = written(add, py[i], ps[i / length] * px[i]);
    }
  });
}

// The op of docs/write_a_kernel.md, differentiable by x alone.
Tensor scale_rows(const Operand& x, const Operand& s, Mistake mistake) {
  const int64_t length = x.size(-1);
  const bool wrong_order = mistake == Mistake::ForwardTakesMemoryOrder;
  const Tensor values =
      wrong_order ? x.tensor() : primitives::relayout(x.tensor(), MemoryFormat::RowMajor);
  Tensor y = Tensor::empty_like(values);
  scale(values, s.tensor(), {y, WriteMode::Overwrite}, length);
  if ((mistake == Mistake::InputMustBeAligned && !is_aligned(x.tensor())) ||
      (mistake == Mistake::ScaleMustBeAligned && !is_aligned(s.tensor())) ||
      (mistake == Mistake::OutputMustBeAligned && !is_aligned(y))) {
    write_rubbish(y);
  }
  if (Tape* tape = Tape::recording({&x})) {
    tape->record(
        "scale_rows", {&x}, {&y},
        [saved = Saved(s.tensor()), format = x.memory_format(), length,
         mistake](Backward& context) {
          const Tensor dy = primitives::relayout(context.grad(), MemoryFormat::RowMajor);
          if (mistake == Mistake::BackwardTakesMemoryOrder || format == MemoryFormat::RowMajor) {
            GradientTarget to = context.into(0);
            scale(dy, saved.get(), to, length);
            if ((mistake == Mistake::GradientMustBeAligned && !is_aligned(to.buffer)) ||
                (mistake == Mistake::OutputGradientMustBeAligned && !is_aligned(dy))) {
              write_rubbish(to.buffer);
            }
          } else {
            Tensor dx = Tensor::empty_like(dy);
            scale(dy, saved.get(), {dx, WriteMode::Overwrite}, length);
            context.give(0, std::move(dx));
          }
        });
  }
  return y;
}

OpCase case_with(Mistake mistake, const Shape& shape) {
  const int64_t length = shape[shape.rank() - 1];
  return {.name = "planted",
          .inputs = {{.shape = shape}, {.shape = {shape.numel() / length}, .needs_grad = false}},
          .run = [=](const std::vector<Operand>& in) { return scale_rows(in[0], in[1], mistake); },
          .reference =
              [=](const std::vector<Tensor>& in) {
                Plain y(in[0]);
                const Plain s(in[1]);
                for (int64_t i = 0; i < y.numel(); ++i) {
                  y[i] *= s[i / length];
                }
                return y.tensor();
              }};
}

bool fails(const OpCase& op_case) {
  testing::TestPartResultArray results;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &results);
    check_variants(op_case, cpu);
  }
  return results.size() > 0;
}

TEST(CaseVariants, AreAllRightForTheOpWithoutAMistake) {
  EXPECT_FALSE(fails(case_with(Mistake::None, {5, 33})));
  EXPECT_FALSE(fails(case_with(Mistake::None, {2, 3, 5})));
  EXPECT_FALSE(fails(case_with(Mistake::None, {2, 3, 4, 5})));
}

// The rank alone makes the runner try: no case asks for channels-last.
TEST(CaseVariants, NoticeAnOpThatTakesMemoryOrderForLogicalOrder) {
  for (const Shape& shape : {Shape{2, 3, 5}, Shape{2, 3, 4, 5}}) {
    check_gradients(case_with(Mistake::ForwardTakesMemoryOrder, shape), cpu);  // sees nothing
    EXPECT_TRUE(fails(case_with(Mistake::ForwardTakesMemoryOrder, shape)));
    EXPECT_TRUE(fails(case_with(Mistake::BackwardTakesMemoryOrder, shape)));
  }
}

TEST(CaseVariants, NoticeThatATensorIsTakenForAligned) {
  for (Mistake mistake :
       {Mistake::InputMustBeAligned, Mistake::ScaleMustBeAligned, Mistake::GradientMustBeAligned,
        Mistake::OutputGradientMustBeAligned, Mistake::OutputMustBeAligned}) {
    SCOPED_TRACE(static_cast<int>(mistake));
    EXPECT_TRUE(fails(case_with(mistake, {5, 33})));
  }
}

TEST(CaseVariants, HoldAnOpToTheFormatThatItSaysItTakes) {
  OpCase op_case = case_with(Mistake::None, {2, 3, 5});
  op_case.inputs[0].one_format = true;
  EXPECT_TRUE(fails(op_case)) << "the op takes the other format, too";
  op_case.run = [](const std::vector<Operand>& in) {
    check<ShapeError>(in[0].memory_format() == MemoryFormat::RowMajor, "wanted row_major");
    return scale_rows(in[0], in[1], Mistake::None);
  };
  EXPECT_FALSE(fails(op_case));
}

}  // namespace
}  // namespace warptape
