#include "training/zip_archive.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "training/file.h"

namespace warptape {
namespace {

static_assert(std::endian::native == std::endian::little);  // as the format is

constexpr uint64_t end_bytes = 22;        // of the end record, without its comment
constexpr uint64_t most_comment = 65535;  // behind it
constexpr uint64_t entry_bytes = 46;      // of a directory's entry, without its name
constexpr uint64_t header_bytes = 30;     // of a member's own header, without its name
constexpr uint64_t most_directory = 100'000'000;
constexpr std::string_view end_mark("PK\5\6", 4);
constexpr std::string_view end64_mark("PK\6\6", 4);
constexpr std::string_view locator64_mark("PK\6\7", 4);
constexpr std::string_view entry_mark("PK\1\2", 4);
constexpr std::string_view header_mark("PK\3\4", 4);

// A number at a place of a record that is long enough.
template <class T>
T number(std::string_view record, uint64_t at) {
  T value;
  std::memcpy(&value, record.data() + at, sizeof(value));
  return value;
}

// Where the directory lies, and how many entries it has.
struct Directory {
  uint64_t begin;
  uint64_t size;
  uint64_t entries;
};

// Of archives with numbers that do not fit 32 bits: a record in front of the end one's locator.
Directory read_end64(const InputFile& file, uint64_t end_at) {
  file.require(end_at >= 20, "directory: got none, wanted the one of a large archive");
  const std::string locator = file.read_bytes(end_at - 20, 20);
  file.require(locator.starts_with(locator64_mark),
               "directory: got no place of it, wanted that of a large archive");
  const std::string end = file.read_bytes(number<uint64_t>(locator, 8), 56);
  file.require(end.starts_with(end64_mark), "directory: its place holds something else");
  return {number<uint64_t>(end, 48), number<uint64_t>(end, 40), number<uint64_t>(end, 32)};
}

Directory find_directory(const InputFile& file) {
  file.require(file.size() >= end_bytes, "size: got {} bytes, wanted {} of a zip archive's end",
               file.size(), end_bytes);
  const uint64_t tail = std::min(file.size(), end_bytes + most_comment);
  const std::string bytes = file.read_bytes(file.size() - tail, tail);
  const size_t at = bytes.rfind(end_mark, bytes.size() - end_bytes);
  file.require(at != std::string::npos,
               "end: got no directory, wanted that of a zip archive (is the file cut off?)");
  const std::string_view end = std::string_view(bytes).substr(at);
  file.require(number<uint16_t>(end, 4) == 0 && number<uint16_t>(end, 6) == 0,
               "archive: got a part of several files, wanted one file");
  const Directory directory{number<uint32_t>(end, 16), number<uint32_t>(end, 12),
                            number<uint16_t>(end, 10)};
  const bool is_large = directory.begin == 0xffffffffU || directory.size == 0xffffffffU ||
                        directory.entries == 0xffffU;
  return is_large ? read_end64(file, file.size() - tail + at) : directory;
}

// A member's sizes and place where 32 bits do not hold them: in the extra field 1, those of them
// that are 0xffffffff, in this order.
void read_extra64(const InputFile& file, std::string_view extra, uint64_t* const (&numbers)[3]) {
  while (extra.size() >= 4) {
    const auto kind = number<uint16_t>(extra, 0);
    const auto size = number<uint16_t>(extra, 2);
    file.require(size <= extra.size() - 4, "directory: an entry's extra field is cut off");
    std::string_view field = extra.substr(4, size);
    for (uint64_t* each : numbers) {
      if (kind == 1 && *each == 0xffffffffU) {
        file.require(field.size() >= 8, "directory: an entry lacks a size of 64 bits");
        *each = number<uint64_t>(field, 0);
        field.remove_prefix(8);
      }
    }
    extra.remove_prefix(4 + uint64_t{size});
  }
}

// Where a member's bytes begin: behind its own header, whose extra field may differ.
uint64_t data_of(const InputFile& file, const std::string& name, uint64_t header_at) {
  const std::string header = file.read_bytes(header_at, header_bytes);
  file.require(header.starts_with(header_mark), "{}: got no header, wanted a member's",
               excerpt(name));
  return header_at + header_bytes + number<uint16_t>(header, 26) + number<uint16_t>(header, 28);
}

}  // namespace

bool is_zip_archive(const InputFile& file) {
  return file.size() >= end_bytes && file.read_bytes(0, 4) == header_mark;
}

std::map<std::string, ZipMember> read_zip_members(const InputFile& file) {
  const Directory directory = find_directory(file);
  file.require(directory.size <= most_directory, "directory: got {} bytes, wanted at most {}",
               directory.size, uint64_t{most_directory});
  const std::string bytes = file.read_bytes(directory.begin, directory.size);
  std::string_view rest = bytes;
  std::map<std::string, ZipMember> members;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    file.require(rest.size() >= entry_bytes && rest.starts_with(entry_mark),
                 "directory: entry {} of {} is damaged", i, directory.entries);
    const uint64_t name_size = number<uint16_t>(rest, 28);
    const uint64_t extra_size = number<uint16_t>(rest, 30);
    const uint64_t all = entry_bytes + name_size + extra_size + number<uint16_t>(rest, 32);
    file.require(rest.size() >= all, "directory: entry {} of {} is cut off", i, directory.entries);
    const std::string name(rest.substr(entry_bytes, name_size));
    uint64_t packed = number<uint32_t>(rest, 20);
    uint64_t size = number<uint32_t>(rest, 24);
    uint64_t header_at = number<uint32_t>(rest, 42);
    read_extra64(file, rest.substr(entry_bytes + name_size, extra_size),
                 {&size, &packed, &header_at});
    file.require((number<uint16_t>(rest, 8) & 1U) == 0, "{}: got an encrypted member, wanted none",
                 excerpt(name));
    file.require(number<uint16_t>(rest, 10) == 0 && packed == size,
                 "{}: got a compressed member, wanted it stored as torch.save does", excerpt(name));
    const uint64_t begin = data_of(file, name, header_at);
    file.require(begin <= file.size() && size <= file.size() - begin,
                 "{}: got {} bytes from {}, wanted them within the {} of the file", excerpt(name),
                 size, begin, file.size());
    file.require(members.emplace(name, ZipMember{begin, size}).second,
                 "{}: it is there twice, wanted different names", excerpt(name));
    rest.remove_prefix(all);
  }
  return members;
}

}  // namespace warptape
