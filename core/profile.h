#pragma once
// Named ranges: how long what took. Off, a Range costs one atomic read.

#include <cstdint>
#include <string>
#include <vector>

namespace warptape::profile {

enum class Phase : uint8_t { Forward, Backward };

struct Event {
  std::string name;  // "conv2d", "conv2d backward"
  int64_t start_ns;  // since start()
  int64_t duration_ns;
  uint32_t thread;
  int depth;  // ranges around this one on the same thread
};

// name must live as long as the Range.
class Range {
 public:
  explicit Range(const char* name, Phase phase = Phase::Forward);
  ~Range();
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  const char* name_;  // null: profiling was off
  Phase phase_;
  int64_t start_ns_ = 0;
};

void start();               // forgets earlier events
std::vector<Event> stop();  // the events since start(), ordered by their start

struct Total {
  std::string name;
  int64_t calls = 0;
  int64_t total_ns = 0;
  int64_t self_ns = 0;  // without the ranges inside
};

// One row per name, longest self time first.
std::vector<Total> summarize(const std::vector<Event>& events);

}  // namespace warptape::profile
