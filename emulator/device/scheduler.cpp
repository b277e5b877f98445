#include "emulator/device/scheduler.h"

#include <cstdlib>

#include "core/check.h"

namespace warptape::gpu::emulated {
namespace {

// Among so many of the oldest works the random order chooses: enough to upset any assumption, few
// enough that choosing costs nothing.
constexpr size_t window = 64;

Order order_from_environment() {
  const char* text = std::getenv("WARPTAPE_SIMT_QUEUE");
  const std::string name = text == nullptr || *text == '\0' ? "random" : text;
  check<ValueError>(name == "late" || name == "immediate" || name == "random",
                    "[emulated device] WARPTAPE_SIMT_QUEUE: got \"{}\", wanted late, immediate or "
                    "random",
                    escaped(name));
  return name == "late" ? Order::Late : name == "immediate" ? Order::Immediate : Order::Random;
}

bool is_ready(const Work& work) {
  return std::all_of(work.after.begin(), work.after.end(),
                     [](const auto& before) { return before->done; });
}

void mark_done(Work& work) {
  work.done = true;
  work.after.clear();  // else a long queue would be destroyed recursively
  work.run = nullptr;
}

}  // namespace

Scheduler::Scheduler() : order(order_from_environment()) {}

void Scheduler::set_fault(const std::string& message) {
  if (fault_.empty()) {
    fault_ = message;
    drop_queue();
  }
}

void Scheduler::drop_queue() {
  std::deque<std::shared_ptr<Work>> dropped;
  dropped.swap(queue_);
  for (const std::shared_ptr<Work>& work : dropped) {
    if (work->manages_memory) {
      const OpenMemory open(work->openings);
      work->run();
    }
    mark_done(*work);
  }
}

void Scheduler::run(std::deque<std::shared_ptr<Work>>::iterator position) {
  const std::shared_ptr<Work> work = *position;
  queue_.erase(position);
  try {
    const OpenMemory open(work->openings);
    work->run();
    mark_done(*work);
  } catch (const std::exception& error) {
    mark_done(*work);
    set_fault(error.what());
  }
}

bool Scheduler::chance(unsigned one_in) {
  const uint64_t wanted = simt::settings().seed;
  if (wanted != seed_) {
    seed_ = wanted;
    random_.seed(wanted);
  }
  return random_() % one_in == 0;
}

// Each ready work of the window is as likely.
std::deque<std::shared_ptr<Work>>::iterator Scheduler::random_ready() {
  auto chosen = queue_.begin();  // is always ready
  unsigned ready = 1;
  const auto end = queue_.begin() + static_cast<ptrdiff_t>(std::min(window, queue_.size()));
  for (auto it = queue_.begin() + 1; it != end; ++it) {
    if (is_ready(**it) && chance(++ready)) {
      chosen = it;
    }
  }
  return chosen;
}

void Scheduler::add(std::shared_ptr<Work> work) {
  queue_.push_back(std::move(work));
  if (!fault_.empty()) {
    drop_queue();
  } else if (order == Order::Immediate) {
    finish_all();
  } else if (order == Order::Random && chance(4)) {
    do {
      run(random_ready());
    } while (!queue_.empty() && !chance(4));
  }
}

void Scheduler::finish(std::vector<std::shared_ptr<Work>> works) {
  size_t missing = 0;
  while (!works.empty()) {
    const std::shared_ptr<Work> work = std::move(works.back());
    works.pop_back();
    if (!work->done && !work->wanted) {
      work->wanted = true;
      ++missing;
      works.insert(works.end(), work->after.begin(), work->after.end());
    }
  }
  while (missing > 0 && !queue_.empty()) {
    const auto next = order == Order::Random
                          ? random_ready()
                          : std::find_if(queue_.begin(), queue_.end(),
                                         [](const auto& work) { return work->wanted; });
    missing -= (*next)->wanted ? 1 : 0;
    run(next);
  }
}

void Scheduler::finish_all() {
  finish({queue_.begin(), queue_.end()});
}

}  // namespace warptape::gpu::emulated
