#pragma once
#include "kernels/streaming/stages.h"
#include "layers/module.h"

namespace warptape {

// What a model is as stages of a stream.
struct StreamStages {
  streaming::Stages stages;
  DType dtype = float32;
  Device device;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t condition_channels = 0;  // 0: streams take none
  bool steps_first = false;        // whether it gives (N, L, C) instead of (N, C, L)
};

// Whether the memory of streams is laid out alike.
bool are_alike(const StreamStages& a, const StreamStages& b);

// Copies the weights of the model, folded. ValueError names the layer that has no stages, or has
// them only with other options.
StreamStages stream_stages(Module& model, int64_t block, const Site& site);

}  // namespace warptape
