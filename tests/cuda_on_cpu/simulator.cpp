#include "simulator.h"

#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "fiber.h"

simulator::Index threadIdx, blockIdx, blockDim, gridDim;

namespace simulator {

Elsewhere elsewhere = {};
int64_t processors = 2, blocks_together = 3;

namespace {

enum class State { ready, at_exchange, at_block, at_grid, done, failed };

struct Block;
class Scheduler;
Scheduler& scheduler();
void run_threads();

struct Thread {
  explicit Thread(void (*start)()) : fiber(start) {}

  Fiber fiber;
  State state = State::ready;
  Block* block = nullptr;
  Index place;
  unsigned mask = 0;  // of the exchange that it waits at
  uint64_t given = 0;
  uint64_t taken[warp_size];
};

// Shared memory with guards on both sides, that tell whether someone wrote beyond it.
class SharedMemory {
 public:
  void resize(size_t bytes) { bytes_.assign(bytes + 2 * guard, garbage); }
  void* data() { return bytes_.data() + guard; }
  size_t size() const { return bytes_.empty() ? 0 : bytes_.size() - 2 * guard; }
  bool intact() const {
    const auto untouched = [](char byte) { return byte == garbage; };
    return bytes_.empty() || (std::all_of(bytes_.begin(), bytes_.begin() + guard, untouched) &&
                              std::all_of(bytes_.end() - guard, bytes_.end(), untouched));
  }

 private:
  static constexpr size_t guard = 64;
  static constexpr char garbage = 0x5a;
  std::vector<char> bytes_;
};

struct Block {
  Index place;
  std::vector<Thread*> threads;
  int alive = 0, waiting = 0;
  SharedMemory object, dynamic;
};

// The order of everything: the same from run to run for a seed.
class Order {
 public:
  Order() {
    const char* seed = std::getenv("EMBEDSEG_CUDA_ON_CPU_SEED");
    state_ = seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10) + 1;
  }
  void set(uint64_t seed) { state_ = seed + 1; }
  size_t below(size_t count) {  // splitmix64
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<size_t>((z ^ (z >> 31)) % count);
  }

 private:
  uint64_t state_;
};

class Scheduler {
 public:
  void run(const Shape& shape, const std::function<void()>& body) {
    body_ = &body;
    blockDim = {static_cast<unsigned>(shape.threads), 1, 1};
    gridDim = {static_cast<unsigned>(shape.blocks), 1, 1};
    std::vector<unsigned> blocks(shape.blocks);
    std::iota(blocks.begin(), blocks.end(), 0u);
    for (size_t i = blocks.size(); i > 1; --i) std::swap(blocks[i - 1], blocks[order.below(i)]);
    const size_t at_once = shape.together ? blocks.size() : 3;
    while (!blocks.empty() || !resident_.empty()) {
      while (!blocks.empty() && resident_.size() < at_once) {
        admit(blocks.back(), shape);
        blocks.pop_back();
      }
      if (ready_.empty()) stop("the kernel is stuck: " + where_all_wait());
      step();
    }
  }

  void leave(State state) {
    running->state = state;
    running->fiber.switch_to(main_);
  }

  // For errors in a thread, whose stack an exception cannot leave.
  void fail(const char* why) {
    failure_ = why;
    leave(State::failed);
  }

  void run_body() const { (*body_)(); }

  Thread* running = nullptr;
  Order order;
  bool barriers = true;

 private:
  void admit(unsigned index, const Shape& shape) {
    auto block = std::make_unique<Block>();
    block->place = {index, 0, 0};
    block->alive = shape.threads;
    block->dynamic.resize(shape.dynamic_bytes);
    for (int i = 0; i < shape.threads; ++i) {
      if (idle_.empty()) idle_.push_back(new Thread(run_threads));
      Thread* thread = idle_.back();
      idle_.pop_back();
      thread->block = block.get();
      thread->place = {static_cast<unsigned>(i), 0, 0};
      block->threads.push_back(thread);
      make_ready(thread);
    }
    resident_.push_back(std::move(block));
  }

  void make_ready(Thread* thread) {
    thread->state = State::ready;
    ready_.push_back(thread);
  }

  void step() {
    std::swap(ready_[order.below(ready_.size())], ready_.back());
    running = ready_.back();
    ready_.pop_back();
    threadIdx = running->place;
    blockIdx = running->block->place;
    main_.switch_to(running->fiber);
    switch (running->state) {
      case State::ready:
        return make_ready(running);
      case State::at_exchange:
        return release_lanes(running);
      case State::at_block:
        return release_block(*running->block);
      case State::at_grid:
        return release_grid();
      case State::done:
        return retire(running);
      case State::failed:
        stop(failure_);
    }
  }

  void release_lanes(Thread* last) {
    Block& block = *last->block;
    Thread** const warp = &block.threads[last->place.x / warp_size * warp_size];
    const int lanes = std::min<int>(warp_size, static_cast<int>(&block.threads.back() - warp) + 1);
    for (int i = 0; i < warp_size; ++i) {
      if ((last->mask >> i & 1) == 0) continue;
      if (i >= lanes || warp[i]->state == State::done) stop("an exchange names a lane that is not there");
      if (warp[i]->state != State::at_exchange || warp[i]->mask != last->mask) return;
    }
    for (int i = 0; i < lanes; ++i) {
      if ((last->mask >> i & 1) == 0) continue;
      for (int j = 0; j < lanes; ++j) warp[i]->taken[j] = warp[j]->given;
      make_ready(warp[i]);
    }
  }

  void release_block(Block& block) {
    if (static_cast<size_t>(block.alive) != block.threads.size()) stop("a thread ended before a barrier");
    if (++block.waiting < block.alive) return;
    block.waiting = 0;
    for (Thread* thread : block.threads) make_ready(thread);
  }

  void release_grid() {
    for (const auto& block : resident_) {
      for (const Thread* thread : block->threads) {
        if (thread->state != State::at_grid) return;
      }
    }
    for (const auto& block : resident_) {
      for (Thread* thread : block->threads) make_ready(thread);
    }
  }

  void retire(Thread* thread) {
    Block& block = *thread->block;
    if (block.waiting > 0) stop("a thread ended before a barrier");
    if (--block.alive > 0) return;
    if (!block.object.intact() || !block.dynamic.intact()) stop("a write beyond the block's shared memory");
    for (Thread* each : block.threads) idle_.push_back(each);
    std::erase_if(resident_, [&](const auto& each) { return each.get() == &block; });
  }

  std::string where_all_wait() const {
    int exchange = 0, block = 0, grid = 0;
    for (const auto& each : resident_) {
      for (const Thread* thread : each->threads) {
        exchange += thread->state == State::at_exchange;
        block += thread->state == State::at_block;
        grid += thread->state == State::at_grid;
      }
    }
    return std::to_string(exchange) + " threads at an exchange, " + std::to_string(block) + " at a barrier, " +
           std::to_string(grid) + " at a grid barrier";
  }

  // The threads under way are given up, with their stacks: they hold nothing.
  [[noreturn]] void stop(const std::string& why) {
    for (const auto& block : resident_) {
      for (const Thread* thread : block->threads) delete thread;
    }
    ready_.clear();
    resident_.clear();
    throw std::runtime_error("CUDA on CPU: " + why);
  }

  Context main_;
  const std::function<void()>* body_ = nullptr;
  std::vector<Thread*> ready_, idle_;
  std::vector<std::unique_ptr<Block>> resident_;
  std::string failure_;
};

Scheduler& scheduler() {
  static auto* one = new Scheduler;  // never destroyed: nor are the stacks
  return *one;
}

void run_threads() {
  scheduler().running->fiber.arrive();
  for (;;) {
    scheduler().run_body();
    scheduler().leave(State::done);
  }
}

}  // namespace

void run(const Shape& shape, const std::function<void()>& body) {
  if (shape.blocks > 0) scheduler().run(shape, body);
}
void fail(const char* why) { scheduler().fail(why); }
void set_seed(uint64_t seed) { scheduler().order.set(seed); }

void wait_for_block() {
  if (scheduler().barriers) scheduler().leave(State::at_block);
}
void wait_for_grid() { scheduler().leave(State::at_grid); }
void give_way() {
  if (scheduler().order.below(16) == 0) scheduler().leave(State::ready);
}

int lane() { return static_cast<int>(threadIdx.x % warp_size); }

const uint64_t* exchange(unsigned mask, uint64_t value) {
  Thread& thread = *scheduler().running;
  if ((mask >> lane() & 1) == 0) scheduler().fail("an exchange without the lane that asks for it");
  thread.mask = mask;
  thread.given = value;
  scheduler().leave(State::at_exchange);
  return thread.taken;
}

void* shared_object(size_t bytes) {
  SharedMemory& memory = scheduler().running->block->object;
  if (memory.size() == 0) memory.resize(bytes);
  return memory.data();
}
void* dynamic_shared() { return scheduler().running->block->dynamic.data(); }

}  // namespace simulator

// For the tests.
#define EMBEDSEG_TEST_SWITCH extern "C" __attribute__((visibility("default"))) void
EMBEDSEG_TEST_SWITCH simulate_in_order(uint64_t seed) { simulator::set_seed(seed); }
EMBEDSEG_TEST_SWITCH simulate_barriers(bool on) { simulator::scheduler().barriers = on; }
EMBEDSEG_TEST_SWITCH simulate_elsewhere(simulator::Elsewhere functions) { simulator::elsewhere = functions; }
// Of the device, and of its blocks with a grid barrier.
EMBEDSEG_TEST_SWITCH simulate_size(int64_t processors, int64_t blocks_together) {
  simulator::processors = processors;
  simulator::blocks_together = blocks_together;
}
