#pragma once

namespace warptape {

// For tests. While one lives, the tensors that this thread makes begin one element behind the start
// of their storage, as slices may, so that a kernel that takes 16-byte alignment for granted shows.
// Tensors of bytes do not: workspaces of vendor libraries are such, too.
class OffsetAllocations {
 public:
  explicit OffsetAllocations(bool on = true);
  ~OffsetAllocations();
  OffsetAllocations(const OffsetAllocations&) = delete;
  OffsetAllocations& operator=(const OffsetAllocations&) = delete;

  static bool are_on();

 private:
  bool before_;
};

}  // namespace warptape
