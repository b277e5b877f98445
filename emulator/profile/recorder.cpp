#include "emulator/profile/recorder.h"

#include <algorithm>
#include <tuple>

namespace warptape::simt::profile {

namespace {

uint64_t blocks_of(const Grid& grid) {
  return uint64_t{grid.grid.x} * grid.grid.y * grid.grid.z;
}

}  // namespace

Recorder::Kernel& Recorder::running(const BlockRunner& block) {
  const Grid& grid = block.grid();
  if (each_ == Each::Launch && running_ == nullptr && !kernels_.empty() &&
      kernels_.back()->blocks < kernels_.back()->all_blocks) {
    running_ = kernels_.back().get();  // the launch goes on: launches run one after the other
  }
  for (size_t i = 0; each_ == Each::Kernel && running_ == nullptr && i < kernels_.size(); ++i) {
    if (kernels_[i]->name == grid.name && kernels_[i]->function == grid.function) {
      running_ = kernels_[i].get();
    }
  }
  if (running_ == nullptr) {
    kernels_.push_back(std::make_unique<Kernel>());
    running_ = kernels_.back().get();
    running_->name = grid.name;
    running_->function = grid.function;
    running_->all_blocks = blocks_of(grid);
  }
  return *running_;
}

namespace {

// source_lines() wants an address behind the instruction that it is to find.
const void* first_instruction_of(const void* function) {
  return static_cast<const char*>(function) + 1;
}

}  // namespace

void Recorder::count(const Request& request, const Instruction& instruction, Record& record) {
  record.counts.add(cost(request, instruction.space, instruction.bytes));
  ++record.strides[lane_stride(request)];
}

std::vector<uint64_t>& Recorder::calls_of(const BlockRunner& block) {
  const unsigned thread = block.current().linear;
  calls_of_thread_.resize(std::max<size_t>(calls_of_thread_.size(), thread + 1));
  return calls_of_thread_[thread];
}

void Recorder::enter(const BlockRunner& block, const void* caller) {
  std::vector<uint64_t>& calls = calls_of(block);
  const Call call{caller, calls.empty() ? 0 : calls.back()};
  const auto [number, is_new] = call_numbers_.emplace(call, calls_made_.size());
  if (is_new) {
    calls_made_.push_back(call);
  }
  calls.push_back(number->second);
}

void Recorder::leave(const BlockRunner& block) {
  std::vector<uint64_t>& calls = calls_of(block);
  if (!calls.empty()) {
    calls.pop_back();
  }
}

void Recorder::access(const BlockRunner& block, const void* address, unsigned bytes, Access access,
                      const void* pc) {
  Space space = Space::Device;
  if (address < device_.begin || address >= device_.end) {
    if (!block.is_shared(address)) {
      return;
    }
    space = Space::Shared;
  }
  const std::vector<uint64_t>& calls = calls_of(block);
  const Instruction instruction{pc, calls.empty() ? 0 : calls.back(), space, access, bytes};
  Record& record = running(block).records[instruction];
  const unsigned thread = block.current().linear;
  const unsigned lane = thread % warp_size;
  record.warps.resize(std::max<size_t>(record.warps.size(), thread / warp_size + 1));
  std::unique_ptr<Open>& warp = record.warps[thread / warp_size];
  if (warp == nullptr) {
    warp = std::make_unique<Open>();
    warp->meetings = block.meetings();
  }
  if (warp->meetings != block.meetings()) {
    // All lanes have met since: none will join what was before.
    for (const Request& request : warp->requests) {
      count(request, instruction, record);
    }
    *warp = Open();
    warp->meetings = block.meetings();
  }
  const uint64_t place = warp->occurrences[lane]++ - warp->first;
  if (place >= warp->requests.size()) {
    warp->requests.resize(place + 1);
  }
  Request& request = warp->requests[place];
  request.lanes |= 1u << lane;
  request.address[lane] = reinterpret_cast<uintptr_t>(address);
  while (!warp->requests.empty() && warp->requests.front().lanes == ~0u) {
    count(warp->requests.front(), instruction, record);
    warp->requests.pop_front();
    ++warp->first;
  }
}

void Recorder::end_block(const BlockRunner& block) {
  Kernel& kernel = running(block);
  for (auto& [instruction, record] : kernel.records) {
    for (const std::unique_ptr<Open>& warp : record.warps) {
      if (warp == nullptr) {
        continue;
      }
      for (const Request& request : warp->requests) {
        count(request, instruction, record);
      }
    }
    record.warps.clear();
  }
  calls_of_thread_.clear();
  const uint3 index = block.block();
  kernel.launches += index.x == 0 && index.y == 0 && index.z == 0;
  ++kernel.blocks;
  const dim3& threads = block.grid().block;
  kernel.threads_per_block = threads.x * threads.y * threads.z;
  kernel.dynamic_shared = block.grid().dynamic_shared;
  running_ = nullptr;
}

int64_t Recorder::usual_stride(const Record& record) {
  return std::max_element(record.strides.begin(), record.strides.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// The instruction's own line, or where a kernel called the vocabulary's function that it is in.
const SourceLine& Recorder::line_of(const Instruction& instruction,
                                    const SourceLines& lines) const {
  const SourceLine* line = &lines.at(instruction.pc);
  for (uint64_t call = instruction.calls; line->line == 0 && call != 0;
       call = calls_made_[call].outer) {
    line = &lines.at(calls_made_[call].caller);
  }
  return line->line == 0 ? lines.at(instruction.pc) : *line;
}

KernelProfile Recorder::profile_of(const Kernel& kernel, const SourceLines& lines) const {
  KernelProfile profile{kernel.name, kernel.launches, kernel.blocks, kernel.threads_per_block,
                        kernel.dynamic_shared};
  if (kernel.function != nullptr) {
    profile.function = lines.at(first_instruction_of(kernel.function)).function;
  }
  for (const auto& [instruction, record] : kernel.records) {
    const SourceLine& line = line_of(instruction, lines);
    const auto same = [&, &wanted = instruction](const LineProfile& row) {
      return row.file == line.file && row.line == line.line && row.space == wanted.space &&
             row.access == wanted.access;
    };
    auto row = std::find_if(profile.lines.begin(), profile.lines.end(), same);
    if (row == profile.lines.end()) {
      profile.lines.push_back(
          {line.file, line.line, instruction.space, instruction.access, {}, usual_stride(record)});
      row = profile.lines.end() - 1;
    }
    row->counts.add(record.counts);
  }
  std::stable_sort(profile.lines.begin(), profile.lines.end(),
                   [](const LineProfile& a, const LineProfile& b) {
                     return std::tuple(a.space, b.counts.sectors, b.counts.wavefronts) <
                            std::tuple(b.space, a.counts.sectors, a.counts.wavefronts);
                   });
  return profile;
}

std::vector<KernelProfile> Recorder::result() const {
  std::vector<const void*> addresses;
  for (const auto& kernel : kernels_) {
    if (kernel->function != nullptr) {
      addresses.push_back(first_instruction_of(kernel->function));
    }
    for (const auto& [instruction, record] : kernel->records) {
      addresses.push_back(instruction.pc);
    }
  }
  for (size_t call = 1; call < calls_made_.size(); ++call) {
    addresses.push_back(calls_made_[call].caller);
  }
  const SourceLines lines = source_lines(addresses);
  std::vector<KernelProfile> profiles;
  for (const auto& kernel : kernels_) {
    profiles.push_back(profile_of(*kernel, lines));
  }
  return profiles;
}

}  // namespace warptape::simt::profile
