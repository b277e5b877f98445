#pragma once
// Tiny data sets and checkpoints for the program, and what it wrote.

#include <map>
#include <string>
#include <vector>

#include "models/simple_cnn.h"
#include "tests/temporary_folder.h"

namespace warptape {

// Records of CIFAR-10 (one label byte) or CIFAR-100 (two), one per label. The pixels depend on the
// label and, a little, on the record's number, so that a model can learn them.
std::string cifar10_records(const std::vector<int>& labels);
std::string cifar100_records(const std::vector<int>& labels);

// IDX files of images of 6 x 5 pixels.
std::string idx_images_file(const std::vector<int>& labels);
std::string idx_labels_file(const std::vector<int>& labels);

// 0, 1, ..., classes - 1, 0, 1, ...
std::vector<int> cycling_labels(int count, int classes);

// Whole data sets in the folder `name`; returns its path.
std::string write_tiny_cifar10(const TemporaryFolder& folder, const std::string& name = "data",
                               int train = 16, int test = 8);
std::string write_tiny_cifar100(const TemporaryFolder& folder, const std::string& name = "data");
std::string write_tiny_idx(const TemporaryFolder& folder, const std::string& name = "data");

// A SimpleCNN for 8 x 8 images whose weights are a function of the seed; g is not the norm of v.
inline constexpr SimpleCNN::Options tiny_model{.image_size = 8};
StateDict tiny_state(const SimpleCNN::Options& options = tiny_model, uint64_t seed = 0);

// How a checkpoint names a weight.
enum class Naming { Pair, Parametrizations, Plain };
// The same weights with the convolutions named otherwise, and fc1 too if it is not Plain.
StateDict with_naming(const StateDict& state, Naming conv1, Naming conv2,
                      Naming fc1 = Naming::Plain);

// Writes a checkpoint and returns its path.
std::string write_state(const TemporaryFolder& folder, const std::string& name,
                        const StateDict& state);

// The tensors of a safetensors file as float64, by key. A file that cannot be read is a test
// failure.
std::map<std::string, std::vector<double>> read_weights(const std::string& path);
std::vector<std::string> read_keys(const std::string& path);  // sorted

std::vector<double> as_doubles(const Tensor& tensor);

// |a - b| / |b|, infinite if the sizes differ.
double relative_difference(const std::vector<double>& a, const std::vector<double>& b);

// Normalised float32 images (count, channels, size, size), a function of their numbers.
Tensor tiny_images(int64_t count, int64_t channels = 3, int64_t size = 8);

// Of a text with one row per line and a first line of names.
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;

  std::vector<double> column(const std::string& name) const;  // empty if there is none
};
Table parse_table(const std::string& text);

std::string bytes_of_file(const std::string& path);
std::vector<std::string> names_in(const std::string& folder);  // sorted

}  // namespace warptape
