#pragma once
// Labelled series in the .ts format of the UCR/UEA archive: lines of a header (@problemName,
// @classLabel true one two, ...), @data, and then a line per series, its channels with ":" between
// them and its class behind the last one:
//
//   1.5,2,3:0,0,1:one
//
// Series may have unequal lengths; the channels of one have the same.

#include <cstdint>
#include <string>
#include <vector>

namespace warptape {

enum class MissingValues {
  Refuse,   // FileError names the first one
  Previous  // the value before it in its channel; at the start, the first one that is there
};

MissingValues missing_values(const std::string& name);  // "refuse" or "previous"

struct LabelledSeries {
  std::vector<double> values;  // (channels, length): one channel behind the other
  int64_t length = 0;
  int64_t label = 0;  // of the classes
};

struct TsFile {
  std::string problem;               // @problemName, or nothing
  std::vector<std::string> classes;  // as the header has them: two or more
  int64_t channels = 0;
  std::vector<LabelledSeries> series = {};  // one or more

  int64_t longest() const;
  int64_t shortest() const;
};

// FileError with the line for a file without @classLabel or of one class, of targets that are no
// classes, or with time stamps; for a directive that the format does not have, or that says another
// thing than the series are (@univariate, @dimensions, @equalLength, @seriesLength, @missing); for
// a class that the header does not have, a row of another number of channels than the first one,
// channels of unequal length in a row, what is no finite number, and a channel without a value.
// Lines that begin with # are comments. A missing value is "?" or "NaN".
TsFile load_ts(const std::string& path, MissingValues missing = MissingValues::Refuse);

}  // namespace warptape
