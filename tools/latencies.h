#pragma once
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>

namespace warptape::tools {

// Microseconds of the calls so far, however many: counted by size, in steps of 2 %.
class Latencies {
 public:
  template <class Call>
  void time(const Call& call) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    call();
    const double time = std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
    total_ += time;
    longest_ = std::max(longest_, time);
    ++count_;
    const double step = std::log(std::max(time, least) / least) / std::log(ratio);
    ++counts_[std::min(counts_.size() - 1, static_cast<size_t>(step))];
  }
  double seconds() const { return total_ / 1e6; }
  // "median 12.1 us, 99 % below 14.0, longest 80.2"
  std::string summary() const;

 private:
  // What more than so many calls stayed below.
  double below(int64_t calls) const {
    int64_t seen = 0;
    size_t step = 0;
    while (step + 1 < counts_.size() && (seen += counts_[step]) <= calls) {
      ++step;
    }
    return std::min(longest_, least * std::pow(ratio, static_cast<double>(step + 1)));
  }

  static constexpr double least = 0.1;
  static constexpr double ratio = 1.02;
  std::array<int64_t, 1100> counts_ = {};  // to more than 100 s
  double total_ = 0;
  double longest_ = 0;
  int64_t count_ = 0;
};

}  // namespace warptape::tools
