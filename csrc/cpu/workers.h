// Work of uneven size, shared among threads.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace embedseg::cpu {

inline int64_t worker_count() { return torch::stable::get_num_threads(); }

// Calls work(worker, begin, end) until [0, size) is done, `block` items at a time, whoever is free takes the next.
// Calls with the same worker, from 0 to worker_count() - 1, never overlap: it can own a buffer.
template <class Work>
void share_work(int64_t size, int64_t block, const Work& work) {
  std::atomic<int64_t> next = 0;
  torch::stable::parallel_for(0, std::min(worker_count(), (size + block - 1) / block), 1,
                              [&](int64_t first, int64_t last) {
                                for (int64_t worker = first; worker < last; ++worker) {
                                  for (int64_t begin; (begin = next.fetch_add(block)) < size;)
                                    work(worker, begin, std::min(begin + block, size));
                                }
                              });
}

}  // namespace embedseg::cpu
