#include "training/safetensors.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>

#include "core/check.h"
#include "training/file.h"
#include "training/half.h"
#include "training/safetensors_header.h"

namespace warptape {
namespace {

// Elements are copied between file and memory as they are.
static_assert(std::endian::native == std::endian::little);

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::Float32:
      return "F32";
    case DType::Float64:
      return "F64";
    case DType::BFloat16:
      return "BF16";
    case DType::UInt8:
      return "U8";
    case DType::Int64:
      return "I64";
  }
  return "?";
}

DType dtype_from(const std::string& name) {
  for (const DType dtype : {float64, bfloat16, uint8, int64}) {
    if (name == name_of(dtype)) {
      return dtype;
    }
  }
  return float32;  // F32, and F16, which float32 holds exactly
}

Tensor load_entry(const InputFile& file, const SafetensorsEntry& entry, uint64_t data_start) {
  Tensor tensor = Tensor::empty(Shape(entry.shape), dtype_from(entry.dtype));
  const uint64_t begin = data_start + entry.range[0];
  const uint64_t bytes = entry.range[1] - entry.range[0];
  if (entry.dtype != "F16") {
    file.read(begin, tensor.mutable_raw_data(), bytes);
    return tensor;
  }
  std::vector<uint16_t> halves(bytes / 2);
  file.read(begin, halves.data(), bytes);
  std::transform(halves.begin(), halves.end(), tensor.mutable_data<float>(), from_float16);
  return tensor;
}

using Named = std::pair<std::string, Tensor>;

// As the reference writer does: the largest elements first, so that all of them lie aligned.
std::vector<const Named*> in_file_order(const std::vector<Named>& tensors) {
  std::vector<const Named*> order;
  std::set<std::string> names;
  for (const Named& named : tensors) {
    check<ValueError>(named.second.defined(),
                      "[save_safetensors] tensor \"{}\": got an undefined tensor",
                      excerpt(named.first));
    check<ValueError>(
        named.first != "__metadata__",
        "[save_safetensors] name: got __metadata__, which the format keeps for itself");
    check<ValueError>(names.insert(named.first).second,
                      "[save_safetensors] names: got \"{}\" twice, wanted different ones",
                      excerpt(named.first));
    order.push_back(&named);
  }
  std::sort(order.begin(), order.end(), [](const Named* a, const Named* b) {
    const int64_t size_a = size_of(a->second.dtype());
    const int64_t size_b = size_of(b->second.dtype());
    return size_a != size_b ? size_a > size_b : a->first < b->first;
  });
  return order;
}

std::string quoted(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw ValueError(
        fmt::format("[save_safetensors] text: got \"{}\", wanted UTF-8", excerpt(text)));
  }
}

std::string make_header(const std::vector<const Named*>& order,
                        const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> members;
  if (!metadata.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata) {
      pairs.push_back(quoted(key) + ":" + quoted(value));
    }
    members.push_back(fmt::format("\"__metadata__\":{{{}}}", fmt::join(pairs, ",")));
  }
  int64_t begin = 0;
  for (const Named* named : order) {
    const Tensor& tensor = named->second;
    const int64_t end = begin + tensor.bytes();
    members.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                  quoted(named->first), name_of(tensor.dtype()),
                                  fmt::join(tensor.shape().begin(), tensor.shape().end(), ","),
                                  begin, end));
    begin = end;
  }
  std::string header = fmt::format("{{{}}}", fmt::join(members, ","));
  header.append((8 - header.size() % 8) % 8, ' ');
  return header;
}

}  // namespace

NamedTensors load_safetensors(const std::string& path) {
  const InputFile file(path, "load_safetensors");
  SafetensorsHeader header = read_safetensors_header(file);
  NamedTensors result;
  for (const SafetensorsEntry& entry : header.entries) {
    result.tensors.emplace_back(entry.name, load_entry(file, entry, header.data_start));
  }
  result.metadata = std::move(header.metadata);
  return result;
}

void save_safetensors(const std::string& path, const std::vector<Named>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  const std::vector<const Named*> order = in_file_order(tensors);
  const std::string header = make_header(order, metadata);
  check<ValueError>(header.size() <= max_safetensors_header,
                    "[save_safetensors] header: got {} bytes, wanted at most {}", header.size(),
                    uint64_t{max_safetensors_header});
  const uint64_t length = header.size();
  write_file_atomically(
      path,
      [&](OutputFile& file) {
        file.write(&length, sizeof(length));
        file.write(header);
        for (const Named* named : order) {
          dispatch_all(named->second.dtype(), [&]<class T>() {
            const std::vector<T> values = named->second.to_vector<T>();
            file.write(values.data(), values.size() * sizeof(T));
          });
        }
      },
      "save_safetensors");
}

}  // namespace warptape
