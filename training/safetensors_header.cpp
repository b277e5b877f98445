#include "training/safetensors_header.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "training/file.h"

namespace warptape {
namespace {

constexpr auto max_int64 = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

// Takes the events of nlohmann's parser. Building a JSON value instead would silently keep the last
// of two equal names, and would recurse as deep as the file says. Each place admits exactly one
// kind of value, so nothing deeper than the format's three levels gets past the first surprise; of
// a field that the format does not know only the depth is kept.
class HeaderHandler {
 public:
  using Json = nlohmann::json;

  HeaderHandler(const InputFile& file, SafetensorsHeader& header) : file_(file), header_(header) {}

  // Writers that have no metadata may say so.
  bool null() { return is_metadata() || is_ignored() || unexpected("null"); }
  bool boolean(bool value) { return is_ignored() || unexpected(value ? "true" : "false"); }
  bool number_float(Json::number_float_t, const std::string& text) {
    return is_ignored() || unexpected(excerpt(text));
  }
  bool binary(Json::binary_t&) { return unexpected("binary data"); }

  // Of what has a minus sign only, "-0" too.
  bool number_integer(Json::number_integer_t value) {
    return is_ignored() || unexpected(value == 0 ? "-0" : std::to_string(value));
  }

  bool number_unsigned(Json::number_unsigned_t value) {
    if (is_ignored()) {
      return true;
    }
    if (place_ != Place::Shape && place_ != Place::Range) {
      unexpected(std::to_string(value));
    }
    file_.require(value <= max_int64, "{}: got {}, wanted at most {}", where(), value, max_int64);
    SafetensorsEntry& entry = header_.entries.back();
    if (place_ == Place::Shape) {
      file_.require(entry.shape.size() < size_t{Shape::max_rank},
                    "{}: got more than {} dimensions, wanted fewer", where(), int{Shape::max_rank});
      entry.shape.push_back(static_cast<int64_t>(value));
    } else {
      file_.require(entry.range.size() < 2, "{}: got more than 2 numbers, wanted 2", where());
      entry.range.push_back(value);
    }
    return true;
  }

  bool string(std::string& value) {
    if (is_ignored()) {
      return true;
    }
    if (place_ == Place::Metadata) {
      header_.metadata[field_] = value;
    } else if (place_ == Place::Tensor && field_ == "dtype") {
      header_.entries.back().dtype = value;
    } else {
      unexpected(fmt::format("the string \"{}\"", excerpt(value)));
    }
    return true;
  }

  bool start_object(size_t) {
    if (is_ignored()) {
      enter_ignored();
    } else if (place_ == Place::Nothing) {
      place_ = Place::Root;
    } else if (is_metadata()) {
      place_ = Place::Metadata;
    } else if (place_ == Place::Root) {
      place_ = Place::Tensor;
      header_.entries.emplace_back().name = name_;
      fields_.clear();
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool key(std::string& key) {
    if (ignored_depth_ > 0) {
      return true;
    }
    if (place_ == Place::Root) {
      file_.require(names_.insert(key).second, "header: the name \"{}\" is there twice",
                    excerpt(key));
      name_ = key;
      return true;
    }
    field_ = key;
    if (place_ == Place::Metadata) {
      file_.require(!header_.metadata.contains(key), "__metadata__: the key \"{}\" is there twice",
                    excerpt(key));
      return true;
    }
    file_.require(is_ignored() || fields_.insert(key).second,
                  "tensor \"{}\": the field \"{}\" is there twice", excerpt(name_), key);
    return true;
  }

  bool end_object() {
    if (ignored_depth_ > 0) {
      --ignored_depth_;
      return true;
    }
    if (place_ == Place::Tensor) {
      for (const char* field : {"dtype", "shape", "data_offsets"}) {
        file_.require(fields_.contains(field), "tensor \"{}\": got no {}, wanted one",
                      excerpt(name_), field);
      }
    }
    place_ = Place::Root;  // the parser itself sees to it that the root ends once
    return true;
  }

  bool start_array(size_t) {
    if (is_ignored()) {
      enter_ignored();
    } else if (place_ == Place::Tensor && field_ == "shape") {
      place_ = Place::Shape;
    } else if (place_ == Place::Tensor && field_ == "data_offsets") {
      place_ = Place::Range;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool end_array() {
    if (ignored_depth_ > 0) {
      --ignored_depth_;
      return true;
    }
    const size_t count = header_.entries.back().range.size();
    file_.require(place_ != Place::Range || count == 2, "{}: got {} numbers, wanted 2", where(),
                  count);
    place_ = Place::Tensor;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception& error) {
    const std::string text = error.what();
    const size_t reason = text.rfind(": ", text.find("; last read"));
    file_.fail(fmt::format("header: got no JSON in UTF-8, at its byte {}: {}", position,
                           excerpt(reason == std::string::npos ? text : text.substr(reason + 2))));
  }

 private:
  enum class Place { Nothing, Root, Metadata, Tensor, Shape, Range };

  bool is_metadata() const { return place_ == Place::Root && name_ == "__metadata__"; }

  // Whether the value belongs to a field of a tensor that the format does not know. The reference
  // reader passes over them.
  bool is_ignored() const {
    return place_ == Place::Tensor && field_ != "dtype" && field_ != "shape" &&
           field_ != "data_offsets";
  }

  void enter_ignored() {
    constexpr size_t most = 125;  // the reference reader stops at 128, this one's levels included
    file_.require(++ignored_depth_ <= most, "tensor \"{}\", \"{}\": got more than {} levels",
                  excerpt(name_), excerpt(field_), most);
  }

  std::string where() const {
    switch (place_) {
      case Place::Nothing:
        return "header";
      case Place::Root:
        return fmt::format("header, \"{}\"", excerpt(name_));
      case Place::Metadata:
        return fmt::format("__metadata__, \"{}\"", excerpt(field_));
      default:
        return fmt::format("tensor \"{}\", {}", excerpt(name_), field_);
    }
  }

  const char* wanted() const {
    switch (place_) {
      case Place::Nothing:
      case Place::Root:
        return "an object";
      case Place::Metadata:
        return "a string";
      case Place::Tensor:
        return field_ == "dtype" ? "a string" : "an array of integers";
      default:
        return "an integer, 0 or more";
    }
  }

  [[noreturn]] bool unexpected(const std::string& got) const {
    file_.fail(fmt::format("{}: got {}, wanted {}", where(), got, wanted()));
  }

  const InputFile& file_;
  SafetensorsHeader& header_;
  Place place_ = Place::Nothing;
  std::string name_;                        // of the tensor, or "__metadata__"
  std::string field_;                       // of the tensor or of __metadata__
  std::unordered_set<std::string> fields_;  // of the tensor so far
  size_t ignored_depth_ = 0;                // of objects and arrays within an ignored field
  std::unordered_set<std::string> names_;
};

// The bytes that the entry's dtype and shape take. Sizes of 0 are left out of the overflow check on
// purpose: the strides of (0, 2^40, 2^40) could not be counted either.
uint64_t byte_count(const InputFile& file, const SafetensorsEntry& entry) {
  const int64_t size = safetensors_element_size(entry.dtype);
  file.require(size > 0, "tensor \"{}\": dtype: got {}, wanted F32, F64, U8, I64, F16 or BF16",
               excerpt(entry.name), excerpt(entry.dtype));
  const int64_t growth = entry.dtype == "F16" ? 2 : 1;  // is loaded as float32
  int64_t bytes = size * growth;
  bool is_empty = false;
  for (const int64_t extent : entry.shape) {
    is_empty = is_empty || extent == 0;
    file.require(!__builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes),
                 "tensor \"{}\": shape ({}): its size in bytes overflows 64 bits",
                 excerpt(entry.name), fmt::join(entry.shape, ", "));
  }
  return is_empty ? 0 : static_cast<uint64_t>(bytes / growth);
}

// Checks that the ranges follow each other from 0 and fit their shapes; returns the end of the
// last.
uint64_t check_ranges(const InputFile& file, const std::vector<SafetensorsEntry>& entries) {
  std::vector<const SafetensorsEntry*> order;
  for (const SafetensorsEntry& entry : entries) {
    const uint64_t begin = entry.range[0];
    const uint64_t end = entry.range[1];
    file.require(begin <= end, "tensor \"{}\": data_offsets: got [{}, {}], wanted begin <= end",
                 excerpt(entry.name), begin, end);
    const uint64_t bytes = byte_count(file, entry);
    file.require(
        end - begin == bytes,
        "tensor \"{}\": data_offsets: got [{}, {}], which is {} bytes, wanted {} for {} and "
        "shape ({})",
        excerpt(entry.name), begin, end, end - begin, bytes, entry.dtype,
        fmt::join(entry.shape, ", "));
    order.push_back(&entry);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->range < b->range; });
  uint64_t end = 0;
  for (const SafetensorsEntry* entry : order) {
    file.require(entry->range[0] == end, "tensor \"{}\": data_offsets: begin is {}, wanted {} ({})",
                 excerpt(entry->name), entry->range[0], end,
                 entry->range[0] < end ? "ranges overlap" : "a hole");
    end = entry->range[1];
  }
  return end;
}

}  // namespace

int64_t safetensors_element_size(const std::string& dtype) {
  struct Known {
    const char* name;
    int64_t size;
  };
  constexpr std::array<Known, 6> known{
      {{"F32", 4}, {"F64", 8}, {"U8", 1}, {"I64", 8}, {"F16", 2}, {"BF16", 2}}};
  for (const Known& candidate : known) {
    if (dtype == candidate.name) {
      return candidate.size;
    }
  }
  return 0;
}

SafetensorsHeader read_safetensors_header(const InputFile& file) {
  file.require(file.size() >= 8, "size: got {} bytes, wanted at least the 8 of the header's length",
               file.size());
  std::array<uint8_t, 8> bytes{};
  file.read(0, bytes.data(), bytes.size());
  uint64_t length = 0;
  for (size_t i = bytes.size(); i-- > 0;) {
    length = length << 8 | bytes[i];
  }
  file.require(length <= max_safetensors_header,
               "header length: got {} bytes, wanted at most {} (is this a safetensors file?)",
               length, uint64_t{max_safetensors_header});
  file.require(length <= file.size() - 8,
               "header length: got {} bytes, wanted at most the {} that follow in the file", length,
               file.size() - 8);
  SafetensorsHeader header;
  header.data_start = 8 + length;
  const std::string json = file.read_bytes(8, length);
  const size_t zero = json.find('\0');  // where nlohmann's parser would stop and be content
  file.require(zero == std::string::npos, "header: got no JSON in UTF-8: byte {} is 0", zero);
  file.require(!json.starts_with("\xef\xbb\xbf"),  // which that parser would pass over
               "header: got a byte order mark, wanted JSON");
  HeaderHandler handler(file, header);
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);
  const uint64_t data = check_ranges(file, header.entries);
  file.require(header.data_start + data == file.size(),
               "size: got {} bytes, wanted {} (8 + {} of header + {} of data)", file.size(),
               header.data_start + data, length, data);
  return header;
}

}  // namespace warptape
