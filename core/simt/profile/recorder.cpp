#include "core/simt/profile/recorder.h"

#include <algorithm>

namespace warptape::simt::profile {

Recorder::Kernel& Recorder::kernel(const std::string& name) {
  for (const std::unique_ptr<Kernel>& known : kernels_) {
    if (known->name == name) {
      return *known;
    }
  }
  kernels_.push_back(std::make_unique<Kernel>());
  kernels_.back()->name = name;
  return *kernels_.back();
}

void Recorder::count(const Request& request, const Key& key, Instruction& instruction) {
  instruction.counts.add(cost(request, std::get<Space>(key), std::get<unsigned>(key)));
  ++instruction.strides[lane_stride(request)];
}

void Recorder::access(BlockRunner& block, const void* address, unsigned bytes, Access access,
                      const void* pc) {
  Space space = Space::Device;
  if (address < device_.begin || address >= device_.end) {
    if (!block.is_shared(address)) {
      return;
    }
    space = Space::Shared;
  }
  if (running_ == nullptr) {
    running_ = &kernel(block.grid().name);
  }
  const Key key{pc, space, access, bytes};
  Instruction& instruction = running_->instructions[key];
  const unsigned thread = block.current().linear;
  const unsigned lane = thread % warp_size;
  instruction.warps.resize(std::max<size_t>(instruction.warps.size(), thread / warp_size + 1));
  std::unique_ptr<Open>& warp = instruction.warps[thread / warp_size];
  if (warp == nullptr) {
    warp = std::make_unique<Open>();
  }
  const uint64_t place = warp->occurrences[lane]++ - warp->first;
  if (place >= warp->requests.size()) {
    warp->requests.resize(place + 1);
  }
  Request& request = warp->requests[place];
  request.lanes |= 1u << lane;
  request.address[lane] = reinterpret_cast<uintptr_t>(address);
  while (!warp->requests.empty() && warp->requests.front().lanes == ~0u) {
    count(warp->requests.front(), key, instruction);
    warp->requests.pop_front();
    ++warp->first;
  }
}

void Recorder::end_block(const BlockRunner& block) {
  if (running_ == nullptr) {
    running_ = &kernel(block.grid().name);
  }
  for (auto& [key, instruction] : running_->instructions) {
    for (const std::unique_ptr<Open>& warp : instruction.warps) {
      if (warp == nullptr) {
        continue;
      }
      for (const Request& request : warp->requests) {
        if (request.lanes != 0) {
          count(request, key, instruction);
        }
      }
    }
    instruction.warps.clear();
  }
  const uint3 index = block.block();
  running_->launches += index.x == 0 && index.y == 0 && index.z == 0;
  ++running_->blocks;
  const dim3& threads = block.grid().block;
  running_->threads_per_block = threads.x * threads.y * threads.z;
  running_ = nullptr;
}

int64_t Recorder::usual_stride(const Instruction& instruction) {
  return std::max_element(instruction.strides.begin(), instruction.strides.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

KernelProfile Recorder::profile_of(const Kernel& kernel,
                                   const std::map<const void*, SourceLine>& lines) {
  KernelProfile profile{kernel.name, kernel.launches, kernel.blocks, kernel.threads_per_block};
  for (const auto& [key, instruction] : kernel.instructions) {
    const auto& [pc, space, access, bytes] = key;
    const SourceLine& line = lines.at(pc);
    const auto same = [&, space = space, access = access](const LineProfile& other) {
      return other.file == line.file && other.line == line.line && other.space == space &&
             other.access == access;
    };
    auto row = std::find_if(profile.lines.begin(), profile.lines.end(), same);
    if (row == profile.lines.end()) {
      profile.lines.push_back({line.file, line.line, space, access, {}, usual_stride(instruction)});
      row = profile.lines.end() - 1;
    }
    row->counts.add(instruction.counts);
    if (std::find(profile.functions.begin(), profile.functions.end(), line.function) ==
        profile.functions.end()) {
      profile.functions.push_back(line.function);
    }
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
    for (const auto& [key, instruction] : kernel->instructions) {
      addresses.push_back(std::get<const void*>(key));
    }
  }
  const std::map<const void*, SourceLine> lines = source_lines(addresses);
  std::vector<KernelProfile> profiles;
  for (const auto& kernel : kernels_) {
    profiles.push_back(profile_of(*kernel, lines));
  }
  return profiles;
}

}  // namespace warptape::simt::profile
