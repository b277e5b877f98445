#pragma once
// Data-dependent initialisation (Salimans & Kingma 2016, arXiv 1602.07868, section 3): one batch
// goes through the model, and every weight-normalised layer gets the g and the bias with which what
// it computes of that batch has mean 0 and variance 1:
//
//   t = v.x / ||v||     g = 1 / std[t]     bias = -mean[t] / std[t]
//
// with mean and standard deviation (of all values, the biased one) per output channel. Layers are
// set in the order in which the batch meets them, each before the next one sees its output.
//
//   data_dependent_init(model, images);                          // model(images)
//   data_dependent_init(model, [&] { model(sequence, condition); });
//
// Layers whose weights are plain stay as they are.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/operand.h"
#include "layers/module.h"

namespace warptape {

struct DataDependentInitOptions {
  // v is drawn from N(0, v_std^2) first, as in the paper, from the default generator; none: it
  // stays.
  std::optional<double> v_std = 0.05;
};

// A layer that was set, with what it had before, of t.
struct DataDependentLayer {
  std::string name;          // its path: "tcn.network.0.conv1"
  std::vector<double> mean;  // of each output channel
  std::vector<double> std;
};

// Sets the layers that `call`, which calls the model once, goes through by their calls; returns
// them, in that order.
//   What a channel is: axis 1 of the output where the weight has rank 3 or more, else the last.
//   g without one value per output channel (of another dim, or of the whole tensor): all of it gets
//     one value, with which the variances of the channels are 1 in the mean.
//   Layers without a bias: their means stay.
//   Layers that are called again, or that share v or g with one before: the first call counts.
//   Embeddings are no products: they stay as they are.
// The pass runs without dropout; layers that normalise (Module::is_norm) keep their mode. Modes,
// buffers and the streams of dropout are afterwards what they were; nothing is recorded.
// Errors, which leave the model as it was:
//   ValueError for a model that has no weight-normalised layer, or whose call meets none; for two
//     weight-normalised weights in one layer; for a layer of several inputs; for a channel without
//     variance (or without finite values), as of a batch of one row; for a layer whose output is
//     not its product plus its bias alone; for an open tape
//   ShapeError for an output of rank below 2, and for a bias that has no element per channel
std::vector<DataDependentLayer> data_dependent_init(Module& model,
                                                    const std::function<void()>& call,
                                                    const DataDependentInitOptions& options = {},
                                                    const Site& site = Site::here());
std::vector<DataDependentLayer> data_dependent_init(Module& model, const Operand& x,
                                                    const DataDependentInitOptions& options = {});

}  // namespace warptape
