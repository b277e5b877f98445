#pragma once
// Which paddings of convolutions a stream takes. Errors are ValueErrors that call the layer `name`.

#include <string>

#include "layers/conv1d.h"
#include "layers/conv_transpose1d.h"

namespace warptape {

// How many elements after its own an output depends on, of a convolution of stride 1 that gives an
// output for every element.
int64_t ahead_of(const Conv1d::Options& options, const std::string& name, const Site& site);

// Where the taps of a convolution with a stride lie.
struct StridedTaps {
  int64_t before = 0;  // zeros in front of the sequence, or elements cut from a result's begin
  int64_t reach = 0;   // from the first tap to the last
};

// Of one that gives an output for every `stride` elements.
StridedTaps taps_of(const Conv1d::Options& options, const std::string& name, const Site& site);
// Of one that gives `stride` outputs for every element.
StridedTaps taps_of(const ConvTranspose1d::Options& options, const std::string& name,
                    const Site& site);

}  // namespace warptape
