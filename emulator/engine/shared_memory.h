#pragma once
// The shared memory of one block: every variable an allocation of its exact size, so that
// AddressSanitizer sees overruns, filled with 0xFF (NaN), so that reading what was never written
// shows.

#include <cstddef>
#include <string>
#include <vector>

namespace warptape::simt {

class SharedMemory {
 public:
  SharedMemory() = default;
  ~SharedMemory() { release(); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  void allocate_dynamic(size_t bytes);
  void* dynamic() const { return dynamic_; }  // nullptr where a launch asked for none

  // The variable known by `key`, or nullptr if it is not there yet.
  void* find(const void* key) const;
  void* allocate(const void* key, size_t bytes);
  size_t bytes() const { return bytes_; }
  bool contains(const void* address) const;

  // Frees everything. Says if something was written outside of a variable, close to it.
  std::string release();

 private:
  struct Variable {
    const void* key;
    char* memory;
    size_t bytes;
  };

  std::vector<Variable> variables_;
  void* dynamic_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace warptape::simt
