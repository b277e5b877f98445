#include "layers/embedding.h"

#include "core/check.h"
#include "core/primitives.h"
#include "layers/init.h"

namespace warptape {

Embedding::Embedding(Options options, const Site& site) : options_(options) {
  const int64_t rows = options.num_embeddings;
  check<ValueError>(rows >= 1, site, "[Embedding] num_embeddings: got {}, wanted 1 or more", rows);
  check<ValueError>(options.embedding_dim >= 1, site,
                    "[Embedding] embedding_dim: got {}, wanted 1 or more", options.embedding_dim);
  const Shape shape{rows, options.embedding_dim};
  check_countable("Embedding", "weight", shape, options.dtype, site);
  Tensor values = Tensor::empty(shape, options.dtype);
  init::normal(values);
  if (options.padding_idx) {
    int64_t& padding = *options_.padding_idx;
    check<ValueError>(padding >= -rows && padding < rows, site,
                      "[Embedding] padding_idx: got {}, wanted {} to {}", padding, -rows, rows - 1);
    padding += padding < 0 ? rows : 0;
    Tensor row = values.slice(padding, padding + 1);
    primitives::fill(row, 0);
  }
  weight = Weight(values);
}

void Embedding::fields(Visitor& visit) {
  visit("weight", weight);
}

Tensor Embedding::forward(const Operand& index) {
  return embedding(index, weight.operand(index.site()), {.padding_idx = options_.padding_idx});
}

std::string Embedding::settings() const {
  std::string text = fmt::format("{}, {}", options_.num_embeddings, options_.embedding_dim);
  return text +
         (options_.padding_idx ? fmt::format(", padding_idx={}", *options_.padding_idx) : "");
}

}  // namespace warptape
