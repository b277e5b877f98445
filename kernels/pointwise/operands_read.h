#pragma once

namespace warptape {

// What a gradient of an op of two tensors reads besides dy: the operand whose gradient it is, the
// other one, or both. What none reads is not saved.
enum class Reads { Nothing, Own, Other, Both };

constexpr bool reads_own(Reads reads) {
  return reads == Reads::Own || reads == Reads::Both;
}
constexpr bool reads_other(Reads reads) {
  return reads == Reads::Other || reads == Reads::Both;
}
constexpr int count(Reads reads) {
  return reads_own(reads) + reads_other(reads);
}

}  // namespace warptape
