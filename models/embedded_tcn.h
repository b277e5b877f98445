#pragma once
#include "layers/dropout.h"
#include "layers/embedding.h"
#include "models/tcn.h"

namespace warptape {

// A temporal convolutional network over indices, such as characters, as locuslab/TCN has it for
// them, keys included (encoder.weight, tcn.network.0.conv1.weight_g, decoder.weight, decoder.bias):
// an embedding, the network, a linear layer. Takes indices (N, L) of int64 and returns for every
// step (N, L, vocabulary).
class EmbeddedTCN : public Module {
 public:
  struct Options {
    int64_t vocabulary = 0;
    TemporalConvNet::Options net;  // its input channels are the embedding's size
    double dropout = 0.1;          // of the embedding's elements
    bool tied = false;  // decoder.weight is encoder.weight: the last block is as wide as that, then
  };

  explicit EmbeddedTCN(const Options& options, const Site& site = Site::here());  // ValueError
  void fields(Visitor& visit) override;
  Tensor forward(const Operand& index) override;
  std::string type_name() const override { return "EmbeddedTCN"; }
  int64_t receptive_field() const { return tcn.receptive_field(); }

  Embedding encoder;
  TemporalConvNet tcn;
  Linear decoder;
  Dropout drop;
};

}  // namespace warptape
