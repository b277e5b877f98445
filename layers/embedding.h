#pragma once
#include "kernels/embedding/embedding.h"
#include "layers/module.h"
#include "layers/weight.h"

namespace warptape {

// As torch.nn.Embedding: weight (num_embeddings, embedding_dim), N(0, 1) at the start, but zeros in
// the row padding_idx, which gets no gradient. Its input are indices, int64 of any shape.
class Embedding : public Module {
 public:
  struct Options {
    int64_t num_embeddings = 0;
    int64_t embedding_dim = 0;
    std::optional<int64_t> padding_idx = {};  // counts from the end if it is negative
    DType dtype = float32;
  };

  // ValueError names the option
  explicit Embedding(Options options, const Site& site = Site::here());
  Embedding(int64_t num_embeddings, int64_t embedding_dim, const Site& site = Site::here())
      : Embedding(Options{.num_embeddings = num_embeddings, .embedding_dim = embedding_dim}, site) {
  }
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& index) override;
  std::string type_name() const override { return "Embedding"; }
  std::string settings() const override;
  const Options& options() const { return options_; }  // padding_idx counts from the start

  Weight weight;

 private:
  Options options_;
};

}  // namespace warptape
