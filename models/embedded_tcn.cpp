#include "models/embedded_tcn.h"

#include "core/check.h"
#include "kernels/transpose/transpose.h"
#include "layers/init.h"

namespace warptape {
namespace {

const EmbeddedTCN::Options& checked(const EmbeddedTCN::Options& options, const Site& site) {
  check<ValueError>(options.vocabulary >= 1, site,
                    "[EmbeddedTCN] vocabulary: got {}, wanted 1 or more", options.vocabulary);
  check<ValueError>(!options.net.channels.empty(), site,
                    "[EmbeddedTCN] channels: got none, wanted one for each block");
  check<ValueError>(!options.tied || options.net.channels.back() == options.net.input_channels,
                    site,
                    "[EmbeddedTCN] tied: got an embedding of {} channels and a last block of {}, "
                    "wanted as many",
                    options.net.input_channels, options.net.channels.back());
  return options;
}

}  // namespace

EmbeddedTCN::EmbeddedTCN(const Options& options, const Site& site)
    : encoder({.num_embeddings = checked(options, site).vocabulary,
               .embedding_dim = options.net.input_channels,
               .dtype = options.net.block.dtype},
              site),
      tcn(options.net, site),
      decoder({.in_features = options.net.channels.back(),
               .out_features = options.vocabulary,
               .dtype = options.net.block.dtype},
              site),
      drop(options.dropout, site) {
  init::uniform(encoder.weight, -0.1, 0.1);
  init::zeros(decoder.bias);
  if (options.tied) {
    named_parameters(decoder)[0].parameter->tie(*named_parameters(encoder)[0].parameter, site);
  } else {
    init::uniform(decoder.weight, -0.1, 0.1);
  }
}

void EmbeddedTCN::fields(Visitor& visit) {
  visit("encoder", encoder)("tcn", tcn)("decoder", decoder)("drop", drop);
}

Tensor EmbeddedTCN::forward(const Operand& index) {
  check_rank("EmbeddedTCN", index, 2, "(N, L)");
  check<ShapeError>(index.size(1) >= 1, index.site(),
                    "[EmbeddedTCN] length: got 0 in shape {}, wanted 1 or more", index.shape());
  const Tensor embedded = drop(encoder(index));
  return decoder(transpose(tcn(transpose(embedded, 1, 2)), 1, 2));
}

}  // namespace warptape
