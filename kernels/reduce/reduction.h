#pragma once

namespace warptape {

// What a loss does with its elements.
enum class Reduction { Mean, Sum };

}  // namespace warptape
