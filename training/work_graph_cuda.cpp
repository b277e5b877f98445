#include <bit>
#include <optional>

#include "core/device/gpu.h"
#include "core/random.h"
#include "core/write_words.h"
#include "training/optimizer.h"
#include "training/work_graph.h"

namespace warptape {
namespace {

void add_changed_rates(WordTable& words, Optimizer* optimizer, gpu::StreamHandle stream) {
  if (optimizer == nullptr) {
    return;
  }
  optimizer->write_changed_rates([&](double* place, double rate) {
    if (words.is_full()) {
      write_words(stream, words, nullptr, nullptr, 0);
      words.count = 0;
    }
    words.add(reinterpret_cast<uint64_t*>(place), std::bit_cast<uint64_t>(rate));
  });
}

class CudaWorkGraph final : public WorkGraph {
 public:
  CudaWorkGraph(GraphMemory& memory, Optimizer* optimizer, const std::function<void()>& work)
      : random_state_(Tensor::empty({2}, int64, cuda)) {
    WordTable words;  // in the graph a rate would be written again and again
    add_changed_rates(words, optimizer, gpu::current_stream());
    write_words(gpu::current_stream(), words, nullptr, nullptr, 0);
    const uint64_t launches_before = gpu::launches;
    graph_.emplace(stream_, [&] {
      const GraphMemory::Scope scope(memory);
      const RecordedDraws draws(default_generator(), random_state());
      work();
      Storage::compute_waiting();  // what nobody has asked for yet belongs to the work, too
      draws_ = draws.count();
    });
    launches_ = gpu::launches - launches_before;
  }

  void replay(Optimizer* optimizer, const Tensor& from, Tensor& to) override {
    const gpu::StreamHandle stream = gpu::current_stream();
    Generator& generator = default_generator();
    WordTable words;
    if (draws_ > 0) {
      words.add(random_state(), generator.seed());
      words.add(random_state() + 1, generator.streams());
    }
    add_changed_rates(words, optimizer, stream);
    const bool copies = to.defined();
    write_words(stream, words, copies ? from.data<int64_t>() : nullptr,
                copies ? to.mutable_data<int64_t>() : nullptr, copies ? to.numel() : 0);
    graph_->launch(stream);
    generator.restore(generator.seed(), generator.streams() + draws_);
  }

  uint64_t launches() const override { return launches_; }

 private:
  uint64_t* random_state() {
    return reinterpret_cast<uint64_t*>(random_state_.mutable_data<int64_t>());
  }

  gpu::Stream stream_;   // of the capture
  Tensor random_state_;  // {seed, streams} of the default generator
  std::optional<gpu::Graph> graph_;
  uint64_t draws_ = 0;
  uint64_t launches_ = 0;
};

}  // namespace

std::unique_ptr<WorkGraph> capture_work(GraphMemory& memory, Optimizer* optimizer,
                                        const std::function<void()>& work) {
  return std::make_unique<CudaWorkGraph>(memory, optimizer, work);
}

}  // namespace warptape
