#include "kernels/mse_loss/mse_loss.h"

#include "kernels/cases/measured.h"

namespace warptape {
namespace {

// The loss of a prediction against constants, and its gradient.
PreparedKernels measured(const Shape& shape, DType dtype) {
  const auto op = [target = on_cuda(shape, dtype)](const std::vector<Tensor>& in) {
    return mse_loss(in[0], target);
  };
  const int64_t bytes = 5 * bytes_of(shape, dtype);  // both; both, the gradient
  return forward_and_backward({on_cuda(shape, dtype)}, on_cuda({}, dtype), op, bytes, bytes);
}

}  // namespace

void mse_loss_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& shape, Reduction reduction,
                       MemoryFormat format_input = MemoryFormat::RowMajor,
                       MemoryFormat format_target = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = shape, .format = format_input},
                    {.shape = shape, .format = format_target}},
         .run = [reduction](
                    const std::vector<Operand>& in) { return mse_loss(in[0], in[1], reduction); },
         .reference =
             [reduction](const std::vector<Tensor>& in) {
               const Plain a(in[0]);
               const Plain b(in[1]);
               double total = 0;
               for (int64_t i = 0; i < a.numel(); ++i) {
                 total += (a[i] - b[i]) * (a[i] - b[i]);
               }
               const double count = static_cast<double>(a.numel());
               return tensor<double>({reduction == Reduction::Mean ? total / count : total}, {});
             },
         .tolerance = Tolerance::Reduction});
  };
  add("scalar", {}, Reduction::Mean);
  add("mean_1025", {1025}, Reduction::Mean);
  add("sum", {31, 33}, Reduction::Sum);
  add("formats", {2, 3, 4, 5}, Reduction::Mean, MemoryFormat::ChannelsLast);
  add("formats_target", {2, 3, 4, 5}, Reduction::Sum, MemoryFormat::RowMajor,
      MemoryFormat::ChannelsLast);
  table.errors.push_back({"shapes",
                          [] {
                            mse_loss(Tensor::zeros({2, 1}), Tensor::zeros({2}));
                          },
                          {"[mse_loss]", "(2, 1)", "(2,)"}});
  table.measured.push_back({"mse_loss", "forward and backward", {512, 1024}, measured});
}

}  // namespace warptape
