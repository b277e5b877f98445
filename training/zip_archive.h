#pragma once
// Zip archives whose members are stored as they are, as torch.save writes them: a directory of
// names and places at the end of the file.

#include <cstdint>
#include <map>
#include <string>

namespace warptape {

class InputFile;

struct ZipMember {
  uint64_t begin = 0;  // of its bytes in the file
  uint64_t size = 0;
};

// Whether a file begins as a zip archive does.
bool is_zip_archive(const InputFile& file);

// The members by name. Every place is checked against the file. FileError for what is damaged,
// compressed, encrypted, in several files, or there twice.
std::map<std::string, ZipMember> read_zip_members(const InputFile& file);

}  // namespace warptape
