#pragma once
#include <map>
#include <string>

namespace warptape {

// FileError if something of that name is there (what was written before is never replaced), or if
// no folder can be made there as things are now. For the begin of long work; it leaves nothing.
void check_new_folder(const std::string& path, const char* who);

// Makes the folder with these files (name, contents), and its parents. They are written into a
// folder beside it, which gets the name in one step: whatever fails, nothing half-written is left
// under it. FileError as above.
void write_new_folder(const std::string& path, const std::map<std::string, std::string>& files,
                      const char* who);

}  // namespace warptape
