// One atomic operation, ATOMIC on an ELEMENT, which nvcc must refuse or compile.

#include "core/simt/simt.h"

__global__ void kernel(ELEMENT* to) {
  ATOMIC(to, static_cast<ELEMENT>(1));
}
