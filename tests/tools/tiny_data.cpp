#include "tests/tools/tiny_data.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <sstream>

#include "core/primitives.h"
#include "core/random.h"
#include "kernels/weight_norm/weight_norm.h"
#include "training/safetensors.h"

namespace warptape {
namespace {

constexpr uint32_t idx_height = 6;
constexpr uint32_t idx_width = 5;

// Pixel values of record `number`; the classes differ by where they are bright.
std::string pixels(int label, size_t number, int channels, int height, int width) {
  std::string bytes;
  for (int c = 0; c < channels; ++c) {
    for (int i = 0; i < height * width; ++i) {
      const bool is_bright = i * 10 / (height * width) == label % 10;
      const int noise = static_cast<int>((number * 37 + static_cast<size_t>(i) * 11) % 23);
      bytes += static_cast<char>((is_bright ? 150 : 10) + 30 * c + noise);
    }
  }
  return bytes;
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes += static_cast<char>(value >> shift & 0xff);
  }
  return bytes;
}

// weight_g and weight_v of `layer` under other names, or folded.
void add_weight(StateDict& to, const std::string& layer, const Tensor& g, const Tensor& v,
                Naming naming) {
  switch (naming) {
    case Naming::Pair:
      to.emplace_back(layer + ".weight_g", g);
      to.emplace_back(layer + ".weight_v", v);
      break;
    case Naming::Parametrizations:
      to.emplace_back(layer + ".parametrizations.weight.original0", g);
      to.emplace_back(layer + ".parametrizations.weight.original1", v);
      break;
    case Naming::Plain:
      const Tensor w = weight_norm(primitives::cast(v, float64), primitives::cast(g, float64));
      to.emplace_back(layer + ".weight", primitives::cast(w, v.dtype()));
      break;
  }
}

}  // namespace

std::string cifar10_records(const std::vector<int>& labels) {
  std::string bytes;
  for (size_t i = 0; i < labels.size(); ++i) {
    bytes += static_cast<char>(labels[i]) + pixels(labels[i], i, 3, 32, 32);
  }
  return bytes;
}

std::string cifar100_records(const std::vector<int>& labels) {
  std::string bytes;
  for (size_t i = 0; i < labels.size(); ++i) {
    bytes += static_cast<char>(labels[i] / 5);
    bytes += static_cast<char>(labels[i]) + pixels(labels[i], i, 3, 32, 32);
  }
  return bytes;
}

std::string idx_images_file(const std::vector<int>& labels) {
  std::string bytes = big_endian(0x803) + big_endian(static_cast<uint32_t>(labels.size())) +
                      big_endian(idx_height) + big_endian(idx_width);
  for (size_t i = 0; i < labels.size(); ++i) {
    bytes += pixels(labels[i], i, 1, idx_height, idx_width);
  }
  return bytes;
}

std::string idx_labels_file(const std::vector<int>& labels) {
  std::string bytes = big_endian(0x801) + big_endian(static_cast<uint32_t>(labels.size()));
  for (const int label : labels) {
    bytes += static_cast<char>(label);
  }
  return bytes;
}

std::vector<int> cycling_labels(int count, int classes) {
  std::vector<int> labels;
  for (int i = 0; i < count; ++i) {
    labels.push_back(i % classes);
  }
  return labels;
}

std::string write_tiny_cifar10(const TemporaryFolder& folder, const std::string& name, int train,
                               int test) {
  folder.write(name + "/data_batch_1.bin", cifar10_records(cycling_labels(train - 5, 10)));
  folder.write(name + "/data_batch_2.bin", cifar10_records(cycling_labels(5, 5)));
  folder.write(name + "/test_batch.bin", cifar10_records(cycling_labels(test, 10)));
  return folder.path(name);
}

std::string write_tiny_cifar100(const TemporaryFolder& folder, const std::string& name) {
  folder.write(name + "/train.bin", cifar100_records({0, 17, 99, 50, 63, 8, 71, 35}));
  folder.write(name + "/test.bin", cifar100_records({99, 3, 50, 4}));
  return folder.path(name);
}

std::string write_tiny_idx(const TemporaryFolder& folder, const std::string& name) {
  const std::vector<int> train = cycling_labels(10, 4);
  const std::vector<int> test = cycling_labels(6, 3);
  folder.write(name + "/train-images-idx3-ubyte", idx_images_file(train));
  folder.write(name + "/train-labels-idx1-ubyte", idx_labels_file(train));
  folder.write(name + "/t10k-images-idx3-ubyte", idx_images_file(test));
  folder.write(name + "/t10k-labels-idx1-ubyte", idx_labels_file(test));
  return folder.path(name);
}

StateDict tiny_state(const SimpleCNN::Options& options, uint64_t seed) {
  manual_seed(seed);
  SimpleCNN model(options);
  StateDict state;
  for (const auto& [key, tensor] : state_dict(model)) {
    Tensor copy = tensor.clone();
    if (key.ends_with("weight_g")) {
      fill_uniform(copy, 0.5, 1.5);
    }
    state.emplace_back(key, copy);
  }
  return state;
}

StateDict with_naming(const StateDict& state, Naming conv1, Naming conv2, Naming fc1) {
  std::map<std::string, Tensor> tensors(state.begin(), state.end());
  StateDict result;
  add_weight(result, "conv1", tensors.at("conv1.weight_g"), tensors.at("conv1.weight_v"), conv1);
  add_weight(result, "conv2", tensors.at("conv2.weight_g"), tensors.at("conv2.weight_v"), conv2);
  const Tensor fc1_weight = tensors.at("fc1.weight");
  if (fc1 != Naming::Plain) {
    add_weight(result, "fc1", norm_except_dim(fc1_weight), fc1_weight, fc1);
  }
  for (const auto& [key, tensor] : state) {
    const bool is_added = key.starts_with("conv") && !key.ends_with(".bias");
    if (!is_added && (key != "fc1.weight" || fc1 == Naming::Plain)) {
      result.emplace_back(key, tensor);
    }
  }
  return result;
}

std::string write_state(const TemporaryFolder& folder, const std::string& name,
                        const StateDict& state) {
  save_safetensors(folder.path(name), state);
  return folder.path(name);
}

std::map<std::string, std::vector<double>> read_weights(const std::string& path) {
  std::map<std::string, std::vector<double>> result;
  for (const auto& [key, tensor] : load_safetensors(path).tensors) {
    result[key] = as_doubles(tensor);
  }
  return result;
}

std::vector<std::string> read_keys(const std::string& path) {
  std::vector<std::string> keys;
  for (const auto& [key, values] : read_weights(path)) {
    keys.push_back(key);
  }
  return keys;
}

std::vector<double> as_doubles(const Tensor& tensor) {
  return primitives::cast(tensor, float64).to_vector<double>();
}

double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) {
    return std::numeric_limits<double>::infinity();
  }
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

Tensor tiny_images(int64_t count, int64_t channels, int64_t size) {
  Generator generator(7);
  return randn({count, channels, size, size}, float32, generator);
}

std::vector<double> Table::column(const std::string& name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  std::vector<double> values;
  if (found != columns.end()) {
    for (const std::vector<std::string>& row : rows) {
      values.push_back(std::stod(row.at(static_cast<size_t>(found - columns.begin()))));
    }
  }
  return values;
}

Table parse_table(const std::string& text) {
  std::vector<std::vector<std::string>> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream cells(line);
    std::vector<std::string>& row = lines.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) {
      row.push_back(cell);
    }
  }
  Table table;
  if (!lines.empty()) {
    table.columns = lines.front();
    table.rows.assign(lines.begin() + 1, lines.end());
  }
  return table;
}

std::string bytes_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace warptape
