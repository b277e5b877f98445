#pragma once

namespace warptape {

enum class Side { A, B };

// Which operands the gradient of a binary op reads, besides dy. What none reads is not saved.
enum class Reads { Nothing, A, B, Both };

constexpr bool reads_a(Reads reads) {
  return reads == Reads::A || reads == Reads::Both;
}
constexpr bool reads_b(Reads reads) {
  return reads == Reads::B || reads == Reads::Both;
}
constexpr int count(Reads reads) {
  return reads_a(reads) + reads_b(reads);
}

}  // namespace warptape
