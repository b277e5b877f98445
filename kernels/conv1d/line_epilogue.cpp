#include "kernels/conv1d/line_epilogue.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/clones.h"
#include "core/parallel.h"
#include "core/random_words.h"

namespace warptape {
namespace {

// Products come before the choice: those under a condition are not done by vectors.

WARPTAPE_CLONES void rectify(float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] = y[i] < 0 ? 0.0F : y[i];  // a NaN stays one
  }
}

WARPTAPE_CLONES void drop(float* y, const uint32_t* words, uint32_t least, float scale,
                          int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = y[i] * scale;
    y[i] = words[i] >= least ? scaled : 0.0F;
  }
}

WARPTAPE_CLONES void keep_signs(const float* y, uint8_t* signs, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const int32_t sign = y[i] <= 0 ? 0 : 1;
    signs[i] = static_cast<uint8_t>(sign);
  }
}

WARPTAPE_CLONES void add(float* y, const float* other, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    y[i] += other[i];
  }
}

// to = from where y is positive or NaN, times scale; else 0.
WARPTAPE_CLONES void pass_by_output(const float* from, const float* y, float scale, float* to,
                                    int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = from[i] * scale;
    to[i] = y[i] <= 0 ? 0.0F : scaled;
  }
}

WARPTAPE_CLONES void pass_by_signs(const float* from, const uint8_t* signs, float scale, float* to,
                                   int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    // By bits: AVX-512F compares no bytes.
    const auto scaled = std::bit_cast<uint32_t>(from[i] * scale);
    to[i] = std::bit_cast<float>(scaled & (uint32_t{0} - signs[i]));
  }
}

}  // namespace

std::optional<LineEpilogue> LineEpilogue::then_relu() const {
  if (adds ? relu_after : relu || dropout > 0) {
    return std::nullopt;
  }
  LineEpilogue longer = *this;
  (adds ? longer.relu_after : longer.relu) = true;
  return longer;
}

std::optional<LineEpilogue> LineEpilogue::then_dropout(double p, const RandomStream& by) const {
  const bool drops_all = std::ceil(p * 0x1p32) >= 0x1p32;
  if (drops_all || dropout > 0 || adds) {
    return std::nullopt;
  }
  LineEpilogue longer = *this;
  longer.dropout = p;
  longer.stream = by;
  return longer;
}

std::optional<LineEpilogue> LineEpilogue::then_sum() const {
  if (adds) {
    return std::nullopt;
  }
  LineEpilogue longer = *this;
  longer.adds = true;
  return longer;
}

LineEpilogueLoops::LineEpilogueLoops(const LineEpilogue& epilogue, const float* residual,
                                     uint8_t* signs)
    : relu(epilogue.relu),
      drops(epilogue.dropout > 0),
      stream(epilogue.stream),
      residual(residual),
      relu_after(epilogue.relu_after),
      signs(signs) {
  if (drops) {
    least = static_cast<uint32_t>(std::ceil(epilogue.dropout * 0x1p32));
    scale = static_cast<float>(1 / (1 - epilogue.dropout));
  }
}

void LineEpilogueLoops::apply(float* y, int64_t begin, int64_t count) const {
  for (int64_t end = begin + count; begin < end; begin += RandomWords::most) {
    const int64_t part = std::min(RandomWords::most, end - begin);
    float* const to = y + begin;
    if (relu) {
      rectify(to, part);
    }
    if (drops) {
      drop(to, RandomWords(stream, begin, part).data(), least, scale, part);
    }
    if (signs != nullptr) {
      keep_signs(to, signs + begin, part);
    }
    if (residual != nullptr) {
      add(to, residual + begin, part);
    }
    if (relu_after) {
      rectify(to, part);
    }
  }
}

void line_epilogue_backward(const LineEpilogue& epilogue, const Tensor& y, const Tensor& signs,
                            Tensor& sum, Tensor& to) {
  const LineEpilogueLoops loops(epilogue, nullptr, nullptr);
  const float* const outputs = y.defined() ? y.data<float>() : nullptr;
  const uint8_t* const kept = signs.defined() ? signs.data<uint8_t>() : nullptr;
  float* const sums = sum.mutable_data<float>();
  float* const results = to.mutable_data<float>();
  parallel_for(sum.numel(), default_grain / 4, [&](int64_t begin, int64_t end) {
    for (; begin < end; begin += RandomWords::most) {
      const int64_t count = std::min(RandomWords::most, end - begin);
      float* const from = sums + begin;
      float* const result = results + begin;
      if (loops.relu_after) {
        pass_by_output(from, outputs + begin, 1, from, count);
      }
      if (kept != nullptr) {
        pass_by_signs(from, kept + begin, loops.scale, result, count);
      } else if (loops.relu) {
        pass_by_output(from, outputs + begin, loops.scale, result, count);
      } else if (loops.drops) {
        if (result != from) {
          std::copy_n(from, count, result);
        }
        drop(result, RandomWords(loops.stream, begin, count).data(), loops.least, loops.scale,
             count);
      }
    }
  });
}

}  // namespace warptape
