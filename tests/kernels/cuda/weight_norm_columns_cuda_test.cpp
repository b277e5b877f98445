// Weight norm's CUDA kernels for slices that are no contiguous rows, over all their geometries,
// against plain loops in double.

#include <gtest/gtest.h>

#include "core/check.h"
#include "kernels/ops.h"
#include "kernels/weight_norm/weight_norm_cuda.h"
#include "kernels/weight_norm/weight_norm_geometry.h"
#include "tests/core/device/gpu_test.h"
#include "tests/kernels/norm_reference.h"

namespace warptape {
namespace {

using namespace weight_norm_detail;

class WeightNormColumnsCuda : public GpuTest {};

struct Case {
  Shape shape;
  NormDim dim;
};

NormSlices places_of(const Case& each) {
  return slices_of(each.shape, MemoryFormat::RowMajor, each.dim, "test", {});
}
template <class T>
Layout layout_of(const Case& each, int tensors) {
  return column_geometry<T>(places_of(each), tensors).layout;
}

// Those that a block holds, backward, too.
std::vector<Case> held() {
  return {
      {{25, 25, 7}, 1}, {{9, 20, 7}, {0, 2}},     {{40, 5}, 1},        {{2, 67}, 1},
      {{64, 300}, -1},  {{3, 4, 270}, 1},         {{7, 1, 3, 2}, {2}}, {{2, 3, 4, 5, 6}, {1, 3}},
      {{70, 3, 16}, 1}, {{3, 5, 2, 4}, {0, 1, 3}}};
}

// Those that take two launches: of many lines, of long runs, in several groups.
std::vector<Case> in_parts() {
  return {{{6000, 9}, 1},
          {{9000, 2, 3}, 1},
          {{3, 2, 9001}, 1},
          {{2, 9000, 3}, {0, 2}},
          {{8, 5, 1300}, 1}};
}

template <class T>
void check(const Case& each, int offset = 0) {
  SCOPED_TRACE(fmt::format("{} dim {} {}, offset {}", each.shape, each.dim.to_string(),
                           to_string(dtype_of<T>()), offset));
  const NormReference reference(each.shape, each.dim, true);
  const double bound = sizeof(T) == 4 ? 2e-6 : 1e-13;
  const auto placed = [&](std::vector<double> values, const Shape& shape) {
    values.insert(values.begin(), static_cast<size_t>(offset), 0.0);
    const auto count = static_cast<int64_t>(values.size());
    return reference.on<T>(cuda, values, {count}).slice(offset, count).view(shape);
  };
  const Parameter v(placed(reference.v, each.shape));
  const Parameter g(placed(reference.g, reference.norms));
  for (int pass = 1; pass <= 2; ++pass) {
    Tape tape;
    const Tensor w = weight_norm(v, g, {.dim = each.dim});
    EXPECT_LE(NormReference::error(w, reference.w), bound);
    tape.backward(w, placed(reference.dw, each.shape));
    EXPECT_LE(NormReference::error(v.grad(), reference.dv, pass * reference.dv_terms, pass),
              4 * bound);
    EXPECT_LE(NormReference::error(g.grad(), reference.dg, 1, pass), 100 * bound);
  }
  EXPECT_LE(NormReference::error(
                norm_except_dim(v.value(), each.dim),
                norm_except_dim(reference.on<double>(cpu, reference.v, each.shape), each.dim)
                    .to_vector<double>()),
            bound);
}

TEST_F(WeightNormColumnsCuda, SlicesThatABlockHolds) {
  for (const Case& each : held()) {
    EXPECT_EQ(layout_of<float>(each, 2), Layout::Columns) << each.shape;
    EXPECT_EQ(layout_of<double>(each, 2), Layout::Columns) << each.shape;
    check<float>(each);
    check<double>(each);
  }
}

TEST_F(WeightNormColumnsCuda, SlicesThatNoBlockHolds) {
  for (const Case& each : in_parts()) {
    EXPECT_EQ(layout_of<float>(each, 1), Layout::ColumnParts) << each.shape;
    EXPECT_GT(column_parts<float>(places_of(each)).parts(), 1) << each.shape;
    check<float>(each);
  }
  check<double>({{2, 9000, 3}, {0, 2}});
}

TEST_F(WeightNormColumnsCuda, TheyStartAnywhere) {
  check<float>({{25, 25, 7}, 1}, 1);
  check<double>({{40, 5}, 1}, 1);
  check<float>({{9000, 2, 3}, 1}, 3);
}

TEST_F(WeightNormColumnsCuda, SlicesOfAnySizeAreNormalised) {
  for (const Case& each : {held()[0], held()[5], in_parts()[3]}) {
    const NormReference reference(each.shape, each.dim);
    const Tensor g = reference.on<double>(cuda, reference.g, reference.norms);
    for (double size : {0x1p-1000, 0x1p-540, 0x1p+540, 0x1p+1000}) {
      std::vector<double> v = reference.v;
      for (double& value : v) {
        value *= size;
      }
      const Tensor w = weight_norm(reference.on<double>(cuda, v, each.shape), g, {.dim = each.dim});
      EXPECT_LE(NormReference::error(w, reference.w), 1e-13) << each.shape << " " << size;
    }
  }
  const NormReference reference({25, 25, 7}, 1);
  for (double size : {0x1p-115, 1e-20, 1e+18, 0x1p+115}) {
    std::vector<double> v = reference.v;
    for (double& value : v) {
      value *= size;
    }
    const Tensor w = weight_norm(reference.on<float>(cuda, v, {25, 25, 7}),
                                 reference.on<float>(cuda, reference.g, {1, 25, 1}), {.dim = 1});
    EXPECT_LE(NormReference::error(w, reference.w), 2e-6) << size;
  }
}

TEST_F(WeightNormColumnsCuda, RoundsToBfloat16OnItsWayOut) {
  for (const Case& each : {held()[0], in_parts()[0]}) {
    const NormReference reference(each.shape, each.dim);
    const Tensor v = reference.on<float>(cuda, reference.v, each.shape);
    const Tensor g = reference.on<float>(cuda, reference.g, reference.norms);
    const Tensor w = weight_norm(v, g, {.dim = each.dim});
    const Tensor rounded = weight_norm(v, g, {.dim = each.dim, .dtype = bfloat16});
    EXPECT_EQ(rounded.to(cpu).to(float32).to_vector<float>(),
              w.to(cpu).to(bfloat16).to(float32).to_vector<float>());
  }
}

// A model's weights, rows and columns.
TEST_F(WeightNormColumnsCuda, DifferentDimsShareALaunch) {
  const std::vector<Case> cases{{{25, 25, 7}, 0},        {{25, 25, 7}, 1}, {{16, 8, 5}, {0, 2}},
                                {{30, 12}, WholeTensor}, {{64, 4096}, 0},  {{12, 4}, -1}};
  std::vector<NormReference> references;
  std::vector<Parameter> v, g;
  std::vector<WeightNormCache> caches(cases.size());
  for (const Case& each : cases) {
    references.emplace_back(each.shape, each.dim);
    const NormReference& reference = references.back();
    v.emplace_back(reference.on<float>(cuda, reference.v, each.shape));
    g.emplace_back(reference.on<float>(cuda, reference.g, reference.norms));
  }
  std::vector<WeightNormUse> uses;
  for (size_t i = 0; i < cases.size(); ++i) {
    uses.push_back({v[i], g[i], &caches[i], {.dim = cases[i].dim}});
  }
  Tape tape;
  const uint64_t before = gpu::launches;
  weight_norm_together(uses);
  EXPECT_EQ(gpu::launches - before, 1U);
  Tensor loss;
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_LE(NormReference::error(caches[i].w, references[i].w), 2e-6) << i;
    const Tensor dw = references[i].on<float>(cuda, references[i].dw, cases[i].shape);
    const Tensor term = sum(mul(caches[i].w, dw));
    loss = loss.defined() ? add(loss, term) : term;
  }
  tape.backward(loss);
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_LE(NormReference::error(v[i].grad(), references[i].dv, references[i].dv_terms), 4e-6)
        << i;
    EXPECT_LE(NormReference::error(g[i].grad(), references[i].dg, 1), 1e-4) << i;
  }
}

TEST_F(WeightNormColumnsCuda, BackwardOfDifferentDimsIsALaunch) {
  std::vector<WeightNormBackward<float>> weights;
  std::vector<Tensor> tensors;
  for (const Case& each : {Case{{25, 25, 7}, 1}, Case{{25, 25, 7}, 0}, Case{{12, 40}, -1}}) {
    const NormReference reference(each.shape, each.dim);
    const Tensor v = reference.on<float>(cuda, reference.v, each.shape);
    Tensor dv = Tensor::empty_like(v);
    const NormSlices at = slices_of(each.shape, MemoryFormat::RowMajor, each.dim, "test", {});
    const Tensor inverses = Tensor::ones({at.count()}, float64, cuda);
    const Tensor g = Tensor::ones({at.count()}, float32, cuda);
    weights.push_back({v.data<float>(), v.data<float>(), g.data<float>(), inverses.data<double>(),
                       dv.mutable_data<float>(), nullptr, at.count(), at.length(), false, false,
                       places_of(each)});
    tensors.insert(tensors.end(), {v, dv, inverses, g});
  }
  const uint64_t before = gpu::launches;
  launch_weight_norm_backward<float>(weights, nullptr, gpu::current_stream());
  EXPECT_EQ(gpu::launches - before, 1U);
}

// The published shapes that PyTorch is slow with, and none that leaves the chip idle.
TEST_F(WeightNormColumnsCuda, BlocksReadWholeSectorsAndFillTheChip) {
  const Case wav2vec{{768, 48, 128}, 2};
  const Case transposed{{512, 256, 16}, 1};
  const Case middle{{512, 512, 7}, 1};
  EXPECT_EQ(layout_of<float>(wav2vec, 1), Layout::ColumnParts);
  EXPECT_EQ(layout_of<float>(transposed, 1), Layout::Columns);
  EXPECT_EQ(layout_of<float>(transposed, 2), Layout::Columns);
  EXPECT_EQ(layout_of<float>(middle, 1), Layout::Columns);
  for (const Case& each :
       {wav2vec, Case{{16'384, 576}, 1}, Case{{64, 64, 4096}, 1}, Case{{1'000'000, 64}, 1},
        Case{{4, 1'000'000, 3}, {0, 2}}, Case{{2048, 2048}, 1}, Case{{300, 5, 4000}, 1}}) {
    const NormSlices at = places_of(each);
    ASSERT_GE(each.shape.numel() * 4, 16 << 20) << each.shape;
    for (int tensors : {1, 2}) {
      const Geometry geometry = column_geometry<float>(at, tensors);
      const ColumnPlan plan = column_parts<float>(at);
      const bool is_held = geometry.layout == Layout::Columns;
      const int64_t columns = is_held ? geometry.rows_per_block : plan.columns;
      const int64_t blocks =
          at.groups * divide_up(at.columns, columns) * (is_held ? 1 : plan.parts());
      EXPECT_GE(blocks, rows::multiprocessors) << each.shape;
      const int64_t width = columns * (is_held ? at.run : plan.run) * 4;
      EXPECT_TRUE(width % 32 == 0 || columns == at.columns || width >= 64) << each.shape;
      // What the second launch reads of the sums is little beside the tensor.
      EXPECT_LE(is_held ? 0 : blocks * columns * plan.parts() * 8, each.shape.numel() * 4 / 16)
          << each.shape;
    }
  }
}

}  // namespace
}  // namespace warptape
