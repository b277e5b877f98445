// Compiles as users write, with warnings that ours are not compiled with: a comparison of different
// signs, a parameter that is not used.
#include "warptape.h"

int count(const warptape::Tensor& x, int unused) {
  return x.numel() < sizeof(x) ? 1 : 0;
}
