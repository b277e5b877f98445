#include <cmath>

#include "kernels/cases/measured.h"
#include "ops/softsign/softsign.h"

namespace warptape {

void softsign_cases(CaseTable& table) {
  for (const Shape& shape : {Shape{0, 3}, Shape{31}, Shape{2, 3, 4, 33}, Shape{1025}}) {
    table.cases.push_back(
        {.name = "size_" + std::to_string(shape.numel()),
         .inputs = {{.shape = shape, .fill = Fill::AwayFromZero}},
         .run = [](const std::vector<Operand>& in) { return mine::softsign(in[0]); },
         .reference =
             [](const std::vector<Tensor>& in) {
               Plain y(in[0]);
               for (int64_t i = 0; i < y.numel(); ++i) {
                 y[i] /= 1 + std::abs(y[i]);
               }
               return y.tensor();
             }});
  }
  table.errors.push_back({"labels",
                          [] {
                            mine::softsign(tensor<int64_t>({1, 2}, {2}));
                          },
                          {"[softsign]", "int64"}});
  table.measured.push_back(elementwise_case(
      "softsign", 1, 5, [](const std::vector<Tensor>& in) { return mine::softsign(in[0]); }));
}

}  // namespace warptape
