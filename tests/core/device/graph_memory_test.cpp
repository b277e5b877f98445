// What a graph needs beyond its capture: memory that is its own, random numbers and words that
// differ from replay to replay.

#include "core/graph_memory.h"

#include "core/primitives.h"
#include "core/random.h"
#include "core/write_words.h"
#include "tests/core/device/gpu_test.h"
#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

class GraphMemories : public GpuTest {};

TEST_F(GraphMemories, BlocksComeBackAndServeNobodyElse) {
  GraphMemory memory(cuda);
  const void* data = nullptr;
  {
    const GraphMemory::Scope scope(memory);
    EXPECT_TRUE(GraphMemory::is_open(cuda));
    EXPECT_FALSE(GraphMemory::is_open(cpu));
    data = Tensor::empty({1000}, float32, cuda).raw_data();
    EXPECT_EQ(Tensor::empty({1000}, float32, cuda).raw_data(), data);
  }
  EXPECT_FALSE(GraphMemory::is_open(cuda));
  EXPECT_GE(memory.reserved_bytes(), 4000u);
  const Tensor of_others = Tensor::empty({1000}, float32, cuda);
  EXPECT_NE(of_others.raw_data(), data);
  empty_cache(cuda);
  const GraphMemory::Scope scope(memory);
  EXPECT_EQ(Tensor::empty({1000}, float32, cuda).raw_data(), data);
}

TEST_F(GraphMemories, GoBackWhenTheLastTensorIsGone) {
  empty_cache(cuda);
  const MemoryStats before = memory_stats(cuda);
  Tensor kept;
  {
    GraphMemory memory(cuda);
    const GraphMemory::Scope scope(memory);
    kept = Tensor::full({500}, 3, float32, cuda);
    Tensor::empty({9000}, float32, cuda);
    EXPECT_GE(memory_stats(cuda).reserved_bytes, before.reserved_bytes + 38000);
  }
  EXPECT_EQ(kept.to_vector<float>(), std::vector<float>(500, 3));
  kept = Tensor();
  empty_cache(cuda);
  EXPECT_EQ(memory_stats(cuda).reserved_bytes, before.reserved_bytes);
  EXPECT_EQ(memory_stats(cuda).live_bytes, before.live_bytes);
  expect_throws<DeviceError>([] { GraphMemory memory(cpu); }, {"[GraphMemory]", "cpu"});
}

TEST_F(GraphMemories, LetACaptureAllocate) {
  const gpu::Stream stream;
  GraphMemory memory(cuda);
  const Tensor from = Tensor::full({100}, 2, float32, cuda);
  Tensor to = Tensor::zeros({100}, float32, cuda);
  gpu::synchronize();
  expect_throws<DeviceError>(
      [&] { const gpu::Graph graph(stream, [&] { Tensor::empty_like(from); }); }, {"capture"});
  const gpu::Graph with_memory(stream, [&] {
    const GraphMemory::Scope scope(memory);
    const Tensor copy = from.clone();
    primitives::copy(copy, to);
  });
  with_memory.launch(stream.handle());
  gpu::synchronize();
  EXPECT_EQ(to.to_vector<float>(), std::vector<float>(100, 2));
}

TEST_F(GraphMemories, ReplaysDrawAsTheirGeneratorWould) {
  const gpu::Stream stream;
  GraphMemory memory(cuda);
  Tensor state = Tensor::zeros({2}, int64, cuda);
  Tensor uniform = Tensor::empty({37}, float32, cuda);
  Tensor normal = Tensor::empty({37}, float64, cuda);
  gpu::synchronize();
  Generator generator(9);
  auto* words_of_state = reinterpret_cast<uint64_t*>(state.mutable_data<int64_t>());
  std::optional<gpu::Graph> graph;
  graph.emplace(stream, [&] {
    const GraphMemory::Scope scope(memory);
    const RecordedDraws draws(generator, words_of_state);
    fill_uniform(uniform, -1, 2, generator);
    fill_normal(normal, 0, 3, generator);
    EXPECT_EQ(draws.count(), 2u);
    Generator other(4);
    expect_throws<DeviceError>([&] { other.next_stream(); }, {"[Generator]", "default one"});
    expect_throws<DeviceError>([&] { rand({3}, float32, generator); }, {"[Generator]", "host"});
  });
  EXPECT_EQ(generator.streams(), 0u);
  for (const uint64_t streams : {0, 2, 7}) {
    WordTable words;
    words.add(words_of_state, 9);
    words.add(words_of_state + 1, streams);
    write_words(stream.handle(), words, nullptr, nullptr, 0);
    graph->launch(stream.handle());
    gpu::synchronize();
    generator.restore(9, streams);
    Tensor wanted = Tensor::empty({37}, float32);
    fill_uniform(wanted, -1, 2, generator);
    EXPECT_EQ(uniform.to_vector<float>(), wanted.to_vector<float>());
    Tensor wanted_normal = Tensor::empty({37}, float64);
    fill_normal(wanted_normal, 0, 3, generator);
    EXPECT_EQ(normal.to_vector<double>(), wanted_normal.to_vector<double>());
  }
}

TEST_F(GraphMemories, WordsGoWhereTheyBelong) {
  Tensor to = Tensor::zeros({300}, int64, cuda);
  std::vector<int64_t> numbers(300);
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<int64_t>(3 * i);
  }
  const Tensor from = tensor(numbers, {300}, cuda);
  Tensor places = Tensor::zeros({WordTable::capacity}, int64, cuda);
  auto* place = reinterpret_cast<uint64_t*>(places.mutable_data<int64_t>());
  WordTable words;
  for (uint64_t i = 0; !words.is_full(); ++i) {
    words.add(place + i, 100 + i);
  }
  write_words(gpu::current_stream(), words, from.data<int64_t>(), to.mutable_data<int64_t>(), 299);
  numbers[299] = 0;
  EXPECT_EQ(to.to_vector<int64_t>(), numbers);
  const std::vector<int64_t> written = places.to_vector<int64_t>();
  EXPECT_EQ(written.front(), 100);
  EXPECT_EQ(written.back(), 100 + WordTable::capacity - 1);
}

}  // namespace
}  // namespace warptape
