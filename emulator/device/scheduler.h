#pragma once
// Runs queued work, in a legal order of the settings' choice, on the thread that synchronises.

#include <deque>
#include <random>

#include "emulator/device/work.h"

namespace warptape::gpu::emulated {

class Scheduler {
 public:
  Scheduler();

  // Queues, and runs what the order wants to run now.
  void add(std::shared_ptr<Work> work);
  // Runs what `works` need, and by the random order perhaps more.
  void finish(std::vector<std::shared_ptr<Work>> works);
  void finish_all();

  // The first fault of queued work, which dropped the rest of the queue; empty if none.
  const std::string& fault() const { return fault_; }
  void set_fault(const std::string& message);
  void clear_fault() { fault_.clear(); }
  void drop_queue();

  Order order;

 private:
  void run(std::deque<std::shared_ptr<Work>>::iterator position);
  std::deque<std::shared_ptr<Work>>::iterator random_ready();
  bool chance(unsigned one_in);

  std::deque<std::shared_ptr<Work>> queue_;  // in the order of the calls, which is a legal one
  std::string fault_;
  uint64_t seed_ = 0;
  std::mt19937_64 random_;
};

}  // namespace warptape::gpu::emulated
