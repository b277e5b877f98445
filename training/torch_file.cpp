#include "training/torch_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>

#include "core/check.h"
#include "training/file.h"
#include "training/half.h"
#include "training/pickle.h"
#include "training/zip_archive.h"

namespace warptape {
namespace {

using Kind = PickleValue::Kind;

constexpr uint64_t most_pickle = 100'000'000;
constexpr int deepest = 100;
constexpr int64_t most_visits = 300'000;
constexpr size_t longest_path = 1000;
// Of tensors together, for each byte of the file: views of one storage are tensors each.
constexpr int64_t most_growth = 16;

// Where the elements of a tensor lie in a storage, from the first one that is read.
struct Places {
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

// Calls body(place) for every element in logical order.
template <class Body>
void each_place(const Places& places, const Body& body) {
  const size_t rank = places.sizes.size();
  std::vector<int64_t> index(rank);
  const int64_t count = Shape(places.sizes).numel();
  for (int64_t at = 0; at < count; ++at) {
    int64_t from = 0;
    for (size_t axis = 0; axis < rank; ++axis) {
      from += index[axis] * places.strides[axis];
    }
    body(from);
    for (size_t axis = rank; axis-- > 0 && ++index[axis] == places.sizes[axis];) {
      index[axis] = 0;
    }
  }
}

// Elements of storages, and what Warptape makes of them.
struct Element {
  const char* storage;
  int64_t bytes;
  DType dtype;
  void (*gather)(const std::string& bytes, const Places& places, Tensor& to);
};

template <class From, class To>
void gather(const std::string& bytes, const Places& places, Tensor& to) {
  To* next = to.mutable_data<To>();
  each_place(places, [&](int64_t from) {
    From value;
    std::memcpy(&value, bytes.data() + from * static_cast<int64_t>(sizeof(From)), sizeof(From));
    *next++ = static_cast<To>(value);
  });
}
void gather_half(const std::string& bytes, const Places& places, Tensor& to) {
  auto* next = to.mutable_data<float>();
  each_place(places, [&](int64_t from) {
    uint16_t value;
    std::memcpy(&value, bytes.data() + from * 2, 2);
    *next++ = from_float16(value);
  });
}

const std::array<Element, 10> elements{{
    {"FloatStorage", 4, float32, &gather<float, float>},
    {"DoubleStorage", 8, float64, &gather<double, double>},
    {"HalfStorage", 2, float32, &gather_half},
    {"BFloat16Storage", 2, bfloat16, &gather<simt::bfloat16, simt::bfloat16>},
    {"LongStorage", 8, int64, &gather<int64_t, int64_t>},
    {"IntStorage", 4, int64, &gather<int32_t, int64_t>},
    {"ShortStorage", 2, int64, &gather<int16_t, int64_t>},
    {"CharStorage", 1, int64, &gather<int8_t, int64_t>},
    {"ByteStorage", 1, uint8, &gather<uint8_t, uint8_t>},
    {"BoolStorage", 1, uint8, &gather<uint8_t, uint8_t>},
}};

const Element* element_of(const std::string& global) {
  for (const Element& element : elements) {
    if (global == std::string("torch ") + element.storage) {
      return &element;
    }
  }
  return nullptr;
}

constexpr const char* rebuild_tensor = "torch._utils _rebuild_tensor_v2";
constexpr const char* rebuild_parameter = "torch._utils _rebuild_parameter";

bool is_allowed(const std::string& global) {
  return global == "collections OrderedDict" || global == rebuild_tensor ||
         global == rebuild_parameter || element_of(global) != nullptr;
}

// A pickled magic number begins it.
bool is_of_old_format(const InputFile& file) {
  constexpr std::string_view magic("\x80\2\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14);
  return file.size() >= magic.size() && file.read_bytes(0, magic.size()) == magic;
}

class TorchFileReader {
 public:
  explicit TorchFileReader(const std::string& path) : file_(path, "load_torch_file") {
    file_.require(file_.size() > 0, "size: got 0 bytes, wanted a file that torch.save has written");
    file_.require(!is_of_old_format(file_),
                  "start: got the format of PyTorch before 1.6, wanted a zip archive: load it "
                  "there and save it again");
    file_.require(is_zip_archive(file_),
                  "start: got no zip archive, wanted one as torch.save writes since PyTorch 1.6");
    members_ = read_zip_members(file_);
    for (const auto& [name, member] : members_) {
      const size_t slash = name.find('/');
      if (slash != std::string::npos && name.substr(slash) == "/data.pkl") {
        file_.require(folder_.empty(), "archive: got {} beside another data.pkl, wanted one",
                      excerpt(name));
        folder_ = name.substr(0, slash + 1);
      }
    }
    file_.require(!folder_.empty(), "archive: got no member data.pkl, wanted torch.save's");
    if (const auto order = members_.find(folder_ + "byteorder"); order != members_.end()) {
      file_.require(bytes_of(order->second, 16) == "little",
                    "byteorder: got another one, wanted little");
    }
    const std::string pickle = bytes_of(members_.at(folder_ + "data.pkl"), most_pickle);
    pickle_ = read_pickle(pickle, is_allowed,
                          [&](const std::string& message) { file_.fail("data.pkl: " + message); });
  }

  TorchFile load() {
    visit(pickle_.root, "", 0);
    return std::move(result_);
  }

 private:
  std::string bytes_of(const ZipMember& member, uint64_t most) const {
    file_.require(member.size <= most, "data.pkl: got {} bytes, wanted at most {}", member.size,
                  most);
    return file_.read_bytes(member.begin, member.size);
  }

  const PickleValue& value(size_t index) const { return pickle_.values[index]; }

  // The items of a call of this name; null if it is none.
  const std::vector<size_t>* arguments_of(const PickleValue& call, const char* name) const {
    const bool is_it = call.kind == Kind::Call && value(call.items[0]).text == name;
    return is_it ? &value(call.items[1]).items : nullptr;
  }

  void visit(size_t index, const std::string& path, int depth) {
    file_.require(path.size() <= longest_path, "{}: got a path of {} bytes, wanted at most {}",
                  excerpt(path), path.size(), size_t{longest_path});
    file_.require(depth <= deepest, "{}: got more than {} levels", excerpt(path), int{deepest});
    // Few bytes of lists in lists in lists, each several times, would be endless.
    file_.require(++visits_ <= most_visits, "{}: got more than {} values", excerpt(path),
                  int64_t{most_visits});
    const PickleValue& it = value(index);
    const auto below = [&](const std::string& name) {
      return path.empty() ? name : path + "." + name;
    };
    if (it.kind == Kind::Dict) {
      file_.require(open_.insert(index).second, "{}: got a dict that is in itself", excerpt(path));
      for (size_t i = 0; i + 1 < it.items.size(); i += 2) {
        const PickleValue& key = value(it.items[i]);
        const bool is_name = key.kind == Kind::String || key.kind == Kind::Int;
        file_.require(is_name, "{}: got a key that is neither text nor a number", excerpt(path));
        visit(it.items[i + 1], below(key.kind == Kind::Int ? std::to_string(key.number) : key.text),
              depth + 1);
      }
      open_.erase(index);
    } else if (it.kind == Kind::List || it.kind == Kind::Tuple) {
      file_.require(open_.insert(index).second, "{}: got a list that is in itself", excerpt(path));
      for (size_t i = 0; i < it.items.size(); ++i) {
        visit(it.items[i], below(std::to_string(i)), depth + 1);
      }
      open_.erase(index);
    } else if (const auto* parameter = arguments_of(it, rebuild_parameter)) {
      file_.require(!parameter->empty(), "{}: got a parameter without a tensor", excerpt(path));
      visit((*parameter)[0], path, depth + 1);
    } else if (const auto* tensor = arguments_of(it, rebuild_tensor)) {
      file_.require(names_.insert(path).second, "{}: got two tensors of this path", excerpt(path));
      // One that is in several places is read once.
      const auto [known, is_new] = tensors_.try_emplace(index);
      if (is_new) {
        known->second = tensor_of(path, *tensor);
      }
      result_.tensors.emplace_back(path, known->second);
    } else {
      file_.require(it.kind != Kind::Call && it.kind != Kind::Persistent && it.kind != Kind::Global,
                    "{}: got something that is neither a tensor nor plain", excerpt(path));
      result_.left_out.push_back(path);
    }
  }

  std::vector<int64_t> sizes_of(const std::string& path, size_t index) const {
    const PickleValue& tuple = value(index);
    file_.require(tuple.kind == Kind::Tuple && tuple.items.size() <= Shape::max_rank,
                  "{}: got a shape that is no tuple of at most {} numbers", excerpt(path),
                  int{Shape::max_rank});
    std::vector<int64_t> sizes;
    for (size_t item : tuple.items) {
      file_.require(value(item).kind == Kind::Int && value(item).number >= 0,
                    "{}: got a size that is no whole number of 0 or more", excerpt(path));
      sizes.push_back(value(item).number);
    }
    return sizes;
  }

  // What the persistent id ('storage', type, key, device, elements) stands for.
  struct Storage {
    const Element* element;
    const ZipMember* member;
    int64_t count;
  };
  Storage storage_of(const std::string& path, size_t index) const {
    const PickleValue& persistent = value(index);
    file_.require(
        persistent.kind == Kind::Persistent && value(persistent.items[0]).items.size() == 5,
        "{}: got a tensor without a storage", excerpt(path));
    const std::vector<size_t>& id = value(persistent.items[0]).items;
    const Element* element = element_of(value(id[1]).text);
    const auto member = members_.find(folder_ + "data/" + value(id[2]).text);
    file_.require(value(id[0]).text == "storage" && element != nullptr,
                  "{}: got a storage of unknown kind", excerpt(path));
    file_.require(member != members_.end(), "{}: its data {} is not in the archive", excerpt(path),
                  excerpt(value(id[2]).text));
    const auto count =
        static_cast<int64_t>(member->second.size / static_cast<uint64_t>(element->bytes));
    file_.require(value(id[4]).number == count &&
                      member->second.size == static_cast<uint64_t>(count * element->bytes),
                  "{}: got {} bytes of data, wanted {} elements of {} bytes", excerpt(path),
                  member->second.size, value(id[4]).number, element->bytes);
    return {element, &member->second, count};
  }

  // arguments: storage, offset, sizes, strides, whether it requires gradients, hooks, and perhaps
  // what else there is to know of it: that it is negated, say.
  Tensor tensor_of(const std::string& path, const std::vector<size_t>& arguments) {
    file_.require(arguments.size() >= 4 && value(arguments[1]).kind == Kind::Int,
                  "{}: got a tensor without its sizes", excerpt(path));
    for (size_t i = 6; i < arguments.size(); ++i) {
      const PickleValue& extra = value(arguments[i]);
      file_.require(extra.kind == Kind::None || (extra.kind == Kind::Dict && extra.items.empty()),
                    "{}: got a tensor that is not plain", excerpt(path));
    }
    const Storage storage = storage_of(path, arguments[0]);
    const int64_t offset = value(arguments[1]).number;
    const Places places{sizes_of(path, arguments[2]), sizes_of(path, arguments[3])};
    const Shape shape(places.sizes);
    file_.require(places.strides.size() == places.sizes.size() && shape.is_countable(8),
                  "{}: got sizes and strides that do not go together", excerpt(path));
    const int64_t count = shape.numel();
    file_.require(count <= storage.count, "{}: got {} elements of {} that are stored",
                  excerpt(path), count, storage.count);
    // The last element: no sum may overflow, as every part is below what is stored.
    int64_t last = offset;
    bool fits = offset >= 0 && offset <= storage.count;
    for (size_t i = 0; fits && count > 0 && i < places.sizes.size(); ++i) {
      const int64_t steps = places.sizes[i] - 1;
      fits = steps == 0 || places.strides[i] <= storage.count / steps;
      last += fits ? steps * places.strides[i] : 0;
      fits = fits && last < storage.count;
    }
    file_.require(fits && (count == 0 || last < storage.count),
                  "{}: got elements outside of the {} that are stored", excerpt(path),
                  storage.count);
    bytes_ += count * size_of(storage.element->dtype);
    file_.require(bytes_ / most_growth <= static_cast<int64_t>(file_.size()),
                  "{}: got tensors of {} bytes out of a file of {}", excerpt(path), bytes_,
                  file_.size());
    Tensor tensor = Tensor::empty(shape, storage.element->dtype);
    if (count > 0) {
      const auto unit = static_cast<uint64_t>(storage.element->bytes);
      storage.element->gather(
          file_.read_bytes(storage.member->begin + static_cast<uint64_t>(offset) * unit,
                           static_cast<uint64_t>(last - offset + 1) * unit),
          places, tensor);
    }
    return tensor;
  }

  InputFile file_;
  std::map<std::string, ZipMember> members_;
  std::string folder_;  // "archive/"
  Pickle pickle_;
  std::set<size_t> open_;  // containers that are being visited
  std::set<std::string> names_;
  std::map<size_t, Tensor> tensors_;  // by their values
  int64_t visits_ = 0;
  int64_t bytes_ = 0;  // of the tensors so far
  TorchFile result_;
};

}  // namespace

TorchFile load_torch_file(const std::string& path) {
  return TorchFileReader(path).load();
}

bool is_torch_file(const std::string& path) {
  const InputFile file(path, "load_torch_file");
  return is_zip_archive(file) || is_of_old_format(file);
}

}  // namespace warptape
