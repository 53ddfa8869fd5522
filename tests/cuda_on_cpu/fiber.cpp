#include "fiber.h"

#include <cstdint>

#if defined(__x86_64__)
// swapcontext would do, and does on other processors; but its two system calls take twenty times as long as all else.
extern "C" void simulator_switch_stack(void** leave, void* enter);
asm(R"(
.text
.globl simulator_switch_stack
.type simulator_switch_stack, @function
simulator_switch_stack:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size simulator_switch_stack, .-simulator_switch_stack
)");
#endif

namespace simulator {

Context* Context::left_ = nullptr;

void Context::switch_to(Context& there) {
  left_ = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fake_stack_, there.bottom_, there.size_);
#endif
#if defined(__x86_64__)
  simulator_switch_stack(&stack_pointer_, there.stack_pointer_);
#else
  swapcontext(&context_, &there.context_);
#endif
  arrive();
}

void Context::arrive() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &left_->bottom_, &left_->size_);
#endif
}

Fiber::Fiber(void (*start)()) : stack_(new char[stack_bytes]) {
  bottom_ = stack_.get();
  size_ = stack_bytes;
#if defined(__x86_64__)
  auto top = reinterpret_cast<uintptr_t>(stack_.get() + stack_bytes) & ~uintptr_t(15);
  auto* frame = reinterpret_cast<void**>(top) - 8;  // six registers, where to return to, and nothing
  for (int i = 0; i < 8; ++i) frame[i] = nullptr;
  frame[6] = reinterpret_cast<void*>(start);
  stack_pointer_ = frame;
#else
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = stack_bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, start, 0);
#endif
}

}  // namespace simulator
