#pragma once

namespace warptape {

// What a loss does with its elements; None leaves them as they are.
enum class Reduction { Mean, Sum, None };

}  // namespace warptape
