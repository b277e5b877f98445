#pragma once
// The tensors of a module by key, as a checkpoint holds them.

#include <string>
#include <utility>
#include <vector>

#include "layers/module.h"

namespace warptape {

using StateDict = std::vector<std::pair<std::string, Tensor>>;

// Keys are PyTorch's ("conv1.weight_g"), in the order of fields. The tensors share the parameters'
// storage, as constants: clone() what has to stay as it is.
StateDict state_dict(const Module& module);

// Copies the tensors in, from any device, cast to the parameters' dtype. A weight is taken from
// whichever of these the dict holds, and brought into the form that the layer has (split, or
// folded):
//   NAME                                                            plain
//   NAME_g, NAME_v                                                  torch.nn.utils.weight_norm
//   parametrizations.NAME.original0, parametrizations.NAME.original1  its newer form
// Keys may have gone through PyTorch's wrappers, see without_wrappers; returns the parts that they
// had added ("module", "_orig_mod"), empty for a dict whose keys are the module's.
// Throws ValueError that lists all missing, unexpected, repeated and mis-shaped keys; nothing is
// changed then.
std::vector<std::string> load_state_dict(Module& module, const StateDict& state,
                                         const Site& site = Site::here());

// The dict with the keys of the wrapped model, without what wrappers put in front of a name or into
// it, once or more: "module" (DataParallel, DistributedDataParallel, AveragedModel), "_orig_mod"
// (torch.compile), "_forward_module" (Lightning Fabric), "_fsdp_wrapped_module" and
// "_checkpoint_wrapped_module". As it is where two keys would become one.
StateDict without_wrappers(const StateDict& state);

}  // namespace warptape
