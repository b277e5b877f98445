#include "kernels/embedding/embedding.h"

#include <fmt/format.h>

#include "core/device/device.h"
#include "kernels/cases/measured.h"

namespace warptape {
namespace {

Tensor reference(const Tensor& index, const Tensor& weight) {
  const auto rows = index.to_vector<int64_t>();
  const Plain table(weight);
  const int64_t columns = weight.size(1);
  Shape shape = index.shape();
  shape.append(columns);
  Plain y(shape);
  for (int64_t i = 0; i < y.numel(); ++i) {
    y[i] = table[rows[static_cast<size_t>(i / columns)] * columns + i % columns];
  }
  return y.tensor();
}

// Of a table of the shape, each row once, from the last: y is like the table.
PreparedKernels measured(const Shape& shape, DType dtype) {
  std::vector<int64_t> rows(static_cast<size_t>(shape[0]));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<int64_t>(rows.size() - 1 - i);
  }
  const Tensor index = tensor(rows, {shape[0]}, cuda);
  const int64_t table = bytes_of(shape, dtype);
  const auto op = [index](const std::vector<Tensor>& in) { return embedding(index, in[0]); };
  // weight, y; dy, dweight; zeros of dweight.
  return forward_and_backward({on_cuda(shape, dtype)}, on_cuda(shape, dtype), op,
                              5 * table + 6 * bytes_of({shape[0]}, int64), 5 * table);
}

}  // namespace

void embedding_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& index, const Shape& weight,
                       EmbeddingOptions options = {}) {
    table.cases.push_back(
        {.name = name,
         .inputs =
             {{.shape = index, .fill = Fill::Labels, .needs_grad = false, .classes = weight[0]},
              {.shape = weight}},
         .run = [=](const std::vector<Operand>& in) { return embedding(in[0], in[1], options); },
         .reference = [](const std::vector<Tensor>& in) { return reference(in[0], in[1]); },
         .tolerance = Tolerance::Exact});
  };
  add("one", {1}, {1, 1});
  add("scalar", {}, {3, 2});
  add("tokens", {2, 5}, {7, 3});
  add("packs", {3, 4}, {5, 8});
  // Rows of dy that go on over pieces of 32, and chunks of 256.
  add("long_rows", {300}, {3, 4});
  add("one_row", {70}, {1, 5});
  // Two digits of a target: they are sorted in two passes.
  add("many_rows", {40}, {300, 2});
  add("images", {2, 3, 2, 2}, {4, 3});
  add("no_index", {0}, {3, 2});
  add("no_columns", {3}, {3, 0});
  const auto numbers = [](const std::vector<int64_t>& values) {
    return tensor<int64_t>(values, {static_cast<int64_t>(values.size())});
  };
  for (const int64_t bad : {int64_t{3}, int64_t{-1}, INT64_MIN}) {
    table.errors.push_back({fmt::format("index_{}", bad < -1  ? "far"
                                                    : bad < 0 ? "low"
                                                              : "high"),
                            [=] {
                              embedding(numbers({0, 2, bad}), Tensor::zeros({3, 2}));
                            },
                            {"[embedding] index 2", fmt::format("got {}", bad), "0 to 2"}});
  }
  const auto expect_error = [&](const char* name, const Tensor& index, const Tensor& weight,
                                EmbeddingOptions options,
                                const std::vector<std::string>& mentions) {
    table.errors.push_back({name, [=] { embedding(index, weight, options); }, mentions});
  };
  expect_error("index_dtype", Tensor::zeros({2}), Tensor::zeros({3, 2}), {},
               {"[embedding] index: got float32, wanted int64", "embedding_cases.cpp"});
  expect_error("weight", numbers({0}), Tensor::zeros({3}), {},
               {"[embedding] weight: got shape (3,), wanted (V, D)"});
  expect_error("weight_dtype", numbers({0}), Tensor::zeros({3, 2}, int64), {},
               {"[embedding]", "int64"});
  expect_error("no_rows", numbers({0}), Tensor::zeros({0, 2}), {},
               {"[embedding] weight: got shape (0, 2)", "no row"});
  expect_error("padding_idx", numbers({0}), Tensor::zeros({3, 2}), {.padding_idx = 3},
               {"[embedding] padding_idx: got 3, wanted -3 to 2 for 3 rows"});
  // Beside each 512 bytes of a row a warp reads where that begins and ends among the sorted; and
  // all warps of a chunk read its targets.
  table.measured.push_back({.name = "embedding",
                            .runs = "each row once, forward and backward",
                            .shape = {1024, 2048},
                            .prepare = measured,
                            .bounds = {.moved = 1.25}});
}

}  // namespace warptape
