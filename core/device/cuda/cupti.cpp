#include "core/device/cuda/cupti.h"

#if __has_include(<cupti.h>)

#include <cupti.h>
#include <cxxabi.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <unordered_map>

#include "core/device/load_library.h"

#ifndef WARPTAPE_CUPTI_FOLDERS
#define WARPTAPE_CUPTI_FOLDERS ""
#endif

namespace warptape::gpu {
namespace {

// The functions that are used, by their own types.
struct Functions {
  decltype(&cuptiGetVersion) get_version;
  decltype(&cuptiGetResultString) result_string;
  decltype(&cuptiGetTimestamp) get_timestamp;
  decltype(&cuptiActivityEnable) enable;
  decltype(&cuptiActivityDisable) disable;
  decltype(&cuptiActivityRegisterCallbacks) register_callbacks;
  decltype(&cuptiActivityFlushAll) flush_all;
  decltype(&cuptiActivityGetNextRecord) next_record;
  decltype(&cuptiActivityPushExternalCorrelationId) push;
  decltype(&cuptiActivityPopExternalCorrelationId) pop;
};

// Null, and the reason, where the library or one of the functions is not there.
const Functions* functions(std::string* reason) {
  struct Loaded {
    Functions functions{};
    std::string reason;
  };
  static const Loaded* loaded = [] {
    auto* result = new Loaded;
    void* library = nullptr;
    for (const char* name : {"libcupti.so.13", "libcupti.so"}) {
      if (library == nullptr) {
        library = load_library(name, WARPTAPE_CUPTI_FOLDERS ":", &result->reason);
      }
    }
    if (library == nullptr) {
      return result;
    }
    result->reason.clear();
    const auto find = [&](auto& function, const char* name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      if (function == nullptr) {
        result->reason = std::string("it has no ") + name;
      }
    };
    find(result->functions.get_version, "cuptiGetVersion");
    find(result->functions.result_string, "cuptiGetResultString");
    find(result->functions.get_timestamp, "cuptiGetTimestamp");
    find(result->functions.enable, "cuptiActivityEnable");
    find(result->functions.disable, "cuptiActivityDisable");
    find(result->functions.register_callbacks, "cuptiActivityRegisterCallbacks");
    find(result->functions.flush_all, "cuptiActivityFlushAll");
    find(result->functions.next_record, "cuptiActivityGetNextRecord");
    find(result->functions.push, "cuptiActivityPushExternalCorrelationId");
    find(result->functions.pop, "cuptiActivityPopExternalCorrelationId");
    return result;
  }();
  *reason = loaded->reason;
  return loaded->reason.empty() ? &loaded->functions : nullptr;
}

// What buffers that CUPTI has filled held, by its own clock.
struct Records {
  struct Owners {
    uint64_t range = 0;
    uint64_t launch = 0;
  };
  std::mutex mutex;
  const Functions* functions = nullptr;
  std::vector<std::pair<uint32_t, Activity>> activities;  // with their correlations
  std::unordered_map<uint32_t, Owners> owners;            // by correlation
  std::map<uint32_t, uint64_t> streams;                   // CUPTI's number to ours
};
Records& records() {
  static auto* instance = new Records;
  return *instance;
}

constexpr CUpti_ExternalCorrelationKind kind_of(Cupti::Of of) {
  return of == Cupti::Of::Range ? CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0
                                : CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM1;
}

std::string demangled(const char* name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 ? text : name;
  std::free(text);
  return result;
}

template <class Record>
void add(Records& all, const Record& record, Activity::Kind kind, std::string name, int64_t bytes) {
  Activity activity;
  activity.kind = kind;
  activity.name = std::move(name);
  activity.stream = all.streams.try_emplace(record.streamId, all.streams.size() + 1).first->second;
  activity.start_ns = static_cast<int64_t>(record.start);
  activity.duration_ns = static_cast<int64_t>(record.end - record.start);
  activity.bytes = bytes;
  all.activities.emplace_back(record.correlationId, std::move(activity));
}

// Records of a kind grow at their end from release to release: these are the oldest that have what
// is read.
void take(Records& all, const CUpti_Activity& record) {
  switch (record.kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto& kernel = reinterpret_cast<const CUpti_ActivityKernel9&>(record);
      add(all, kernel, Activity::Kind::Kernel, demangled(kernel.name), 0);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& copy = reinterpret_cast<const CUpti_ActivityMemcpy5&>(record);
      const char* const name = copy.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_HTOD   ? "copy to device"
                               : copy.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_DTOH ? "copy to host"
                                                                                  : "copy";
      add(all, copy, Activity::Kind::Copy, name, static_cast<int64_t>(copy.bytes));
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& fill = reinterpret_cast<const CUpti_ActivityMemset4&>(record);
      add(all, fill, Activity::Kind::Fill, "fill", static_cast<int64_t>(fill.bytes));
      break;
    }
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
      const auto& owner = reinterpret_cast<const CUpti_ActivityExternalCorrelation&>(record);
      Records::Owners& owners = all.owners[owner.correlationId];
      (owner.externalKind == kind_of(Cupti::Of::Range) ? owners.range : owners.launch) =
          owner.externalId;
      break;
    }
    default:
      break;
  }
}

constexpr size_t buffer_bytes = size_t{4} << 20;
constexpr size_t buffer_alignment = 8;

void CUPTIAPI give_buffer(uint8_t** buffer, size_t* size, size_t* most_records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(buffer_alignment, buffer_bytes));
  *size = *buffer == nullptr ? 0 : buffer_bytes;
  *most_records = 0;  // as many as fit
}

void CUPTIAPI take_buffer(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid) {
  Records& all = records();
  {
    std::lock_guard lock(all.mutex);
    CUpti_Activity* record = nullptr;
    while (valid > 0 && all.functions->next_record(buffer, valid, &record) == CUPTI_SUCCESS) {
      take(all, *record);
    }
  }
  std::free(buffer);
}

constexpr CUpti_ActivityKind kinds[] = {
    CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET,
    // Owners are those of calls of the runtime.
    CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION, CUPTI_ACTIVITY_KIND_RUNTIME};

class Running final : public Cupti {
 public:
  explicit Running(const Functions& functions) : functions_(functions) {
    uint64_t now = 0;
    functions_.get_timestamp(&now);
    to_steady_ns_ = std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::chrono::steady_clock::now().time_since_epoch())
                        .count() -
                    static_cast<int64_t>(now);
  }
  ~Running() override { disable(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  std::string version() const override {
    uint32_t number = 0;
    functions_.get_version(&number);
    return "CUPTI, of API version " + std::to_string(number);
  }
  void push(Of of, uint64_t id) override { functions_.push(kind_of(of), id); }
  void pop(Of of) override {
    uint64_t last = 0;
    functions_.pop(kind_of(of), &last);
  }
  std::vector<Activity> finish() override {
    functions_.flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
    disable();
    Records& all = records();
    std::lock_guard lock(all.mutex);
    std::vector<Activity> result;
    for (auto& [correlation, activity] : all.activities) {
      const Records::Owners owners = all.owners[correlation];
      activity.range = owners.range;
      activity.launch = owners.launch;
      activity.start_ns += to_steady_ns_;
      result.push_back(std::move(activity));
    }
    all.activities.clear();
    all.owners.clear();
    all.streams.clear();
    return result;
  }

 private:
  void disable() {
    for (const CUpti_ActivityKind kind : kinds) {
      functions_.disable(kind);
    }
  }

  const Functions& functions_;
  int64_t to_steady_ns_ = 0;
};

}  // namespace

std::unique_ptr<Cupti> Cupti::start(std::string* reason) {
  const Functions* const loaded = functions(reason);
  if (loaded == nullptr) {
    return nullptr;
  }
  records().functions = loaded;
  auto running = std::make_unique<Running>(*loaded);
  CUptiResult status = loaded->register_callbacks(give_buffer, take_buffer);
  for (const CUpti_ActivityKind kind : kinds) {
    status = status == CUPTI_SUCCESS ? loaded->enable(kind) : status;
  }
  if (status != CUPTI_SUCCESS) {
    const char* text = nullptr;
    loaded->result_string(status, &text);
    *reason = text == nullptr ? "it refuses" : text;
    return nullptr;
  }
  return running;
}

}  // namespace warptape::gpu

#else

namespace warptape::gpu {

std::unique_ptr<Cupti> Cupti::start(std::string* reason) {
  *reason = "cupti.h was not found by the build";
  return nullptr;
}

}  // namespace warptape::gpu

#endif
