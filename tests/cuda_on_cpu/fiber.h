// A stack of its own for every simulated thread, and the switch between stacks.
#pragma once

#include <cstddef>
#include <memory>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace simulator {

// A place to go on from: a fiber's, or the scheduler's.
class Context {
 public:
  // Leaves off here and goes on there; returns when someone switches back.
  void switch_to(Context& there);
  // Called first by what runs on a new stack, and after every return.
  void arrive();

 protected:
#if defined(__x86_64__)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t context_;
#endif
  const void* bottom_ = nullptr;
  size_t size_ = 0;
  void* fake_stack_ = nullptr;
  static Context* left_;  // whose stack size is not known until it is left: the scheduler's
};

class Fiber : public Context {
 public:
  explicit Fiber(void (*start)());

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr size_t stack_bytes = 1 << 18;
#else
  static constexpr size_t stack_bytes = 1 << 16;
#endif
  std::unique_ptr<char[]> stack_;
};

}  // namespace simulator
