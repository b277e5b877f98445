#include <algorithm>

#include "core/primitives.h"
#include "kernels/argmax/argmax.h"
#include "kernels/reduce/reduction_cases.h"

namespace warptape {
namespace {

PreparedKernels measured(const Shape& shape, DType dtype) {
  Shape reduced = shape;
  reduced[shape.rank() - 1] = 1;
  return {[x = on_cuda(shape, dtype)] { argmax(x, -1); },
          bytes_of(shape, dtype) + bytes_of(reduced, int64), bytes_of(shape, dtype)};
}

}  // namespace

void argmax_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, std::optional<int> dim,
                       MemoryFormat format = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .fill = Fill::Distinct, .format = format}},
         .run = [dim](const std::vector<Operand>& in) { return argmax(in[0], dim); },
         .reference =
             [dim](const std::vector<Tensor>& in) {
               const auto dims = dim ? std::vector<int>{*dim} : std::vector<int>{};
               const Tensor index =
                   reduction_reference(in[0], dims, false, [](const std::vector<double>& values) {
                     const auto largest = std::max_element(values.begin(), values.end());
                     return static_cast<double>(largest - values.begin());
                   });
               return primitives::cast(index, int64);
             },
         .tolerance = Tolerance::Exact,
         .differentiable = false});
  };
  add("all", {33, 31}, std::nullopt);
  add("rows", {31, 1025}, -1);
  add("columns", {33, 70}, 0);
  add("channels_last_channels", {2, 33, 4, 5}, 1, MemoryFormat::ChannelsLast);
  add("channels_last_all", {2, 3, 4, 5}, std::nullopt, MemoryFormat::ChannelsLast);
  table.errors.push_back({"empty",
                          [] {
                            argmax(Tensor::zeros({3, 0}), 1);
                          },
                          {"[argmax]", "(3, 0)", "no element"}});
  table.errors.push_back(
      {"dim", [] { argmax(Tensor::zeros({3}), 1); }, {"[argmax]", "got 1", "-1 to 0"}});
  table.measured.push_back({"argmax", "over the last dimension", {512, 1024}, measured});
}

}  // namespace warptape
