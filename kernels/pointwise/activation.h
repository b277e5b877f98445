#pragma once

namespace warptape {

// A pointwise op as an option of another op, done in its pass.
enum class Activation { None, ReLU };

}  // namespace warptape
