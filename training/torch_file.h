#pragma once
// Checkpoints that torch.save has written, without Python: zip archives (PyTorch 1.6 and later) of
// plain tensors in dicts, lists and tuples. Nothing in the file is run: a pickle that needs more
// than that is refused, and the error names the opcode or the class.

#include <string>
#include <vector>

#include "training/safetensors.h"

namespace warptape {

struct TorchFile {
  // By their paths, with dots between: "model.conv.weight". In the order of the file, row-major.
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<std::string> left_out;  // paths of what is no tensor: "epoch"
};

// Float, double and bfloat16 keep their dtype, half becomes float32; long and uint8 keep it, other
// whole numbers become int64, bool uint8. Throws FileError for anything that is not wholly as the
// format wants it, before allocating what the file claims: also for tensors that are larger than
// what is stored of them. A tensor
// that is in several places of the file is one, whose storage they share.
TorchFile load_torch_file(const std::string& path);

// Whether a file begins as torch.save's do, those of before PyTorch 1.6 too; FileError for one that
// cannot be read.
bool is_torch_file(const std::string& path);

}  // namespace warptape
