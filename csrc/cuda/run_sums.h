// Sums of what a warp's pixels have, object by object. Pixels next to each other mostly are one object's: a run. They
// pass through shared memory, where lanes write pixels and read channels: a lane then has one channel of a stretch of
// pixels, sums up while the object is the same, and adds a run to the table by one atomic.
#pragma once

#include "cuda/warp.h"

namespace embedseg::cuda {

// Products up to 2²², rounded to nearest, in the last bits of a float to which a large one was added: a conversion is
// an instruction for which a processor has few units.
constexpr float fixed_bias = 0x1.8p23f;
constexpr unsigned fixed_bias_bits = 0x4b400000;

__device__ inline unsigned biased_bits(float value, float factor) {
  return static_cast<unsigned>(__float_as_int(__fmaf_rn(value, factor, fixed_bias)));
}

// The product alone.
__device__ inline int fixed_of(float value, float factor) {
  return static_cast<int>(biased_bits(value, factor) - fixed_bias_bits);
}

// `count` pixels a lane, of D channels: as many channels at once as make a tile of 4 KiB.
template <int D, int count>
class RunSums {
 public:
  static constexpr int pixels = count * warp_size;
  static constexpr int channels = std::min(D, warp_size / count);  // at once
  static constexpr int rounds = D / channels;
  static constexpr int lane_pixels = count * channels;  // that a lane reads one channel of
  static constexpr int most_pixels = 511;               // of one lane, between write_through's: their sum has 32 bits

  struct Tile {
    alignas(16) unsigned objects[pixels];
    alignas(16) unsigned values[channels][pixels + 4];  // 4 more, so that lanes do not meet in a bank
  };

  // table: rows of one image
  __device__ RunSums(Tile& tile, long long* table, int64_t row_size)
      : tile_(tile), column_(table + channel()), row_size_(static_cast<uint32_t>(row_size)) {}

  // The objects of the lane's pixels, −1 for none's, and bits(v, d): the biased bits of the v-th one's channels.
  // in_packs: whether a lane's pixels lie side by side, or else a warp's.
  template <bool in_packs, class Bits>
  __device__ void add(const int32_t (&objects)[count], const Bits& bits) {
    write<in_packs>(tile_.objects, [&](int v) { return static_cast<unsigned>(objects[v]); });
    bool plain[lane_pixels / 4];  // whether pixels 4 i to 4 i + 3 go on with the object before; round 0 finds out
#pragma unroll
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
      for (int c = 0; c < channels; ++c) {
        write<in_packs>(tile_.values[c], [&](int v) { return bits(v, round * channels + c); });
      }
      __syncwarp();
      read(round, plain);
      __syncwarp();
    }
  }

  __device__ void write_through() {
#pragma unroll
    for (int round = 0; round < rounds; ++round) go_to(round, lane_pixels, none);
  }

 private:
  static constexpr unsigned none = ~0u;

  struct Run {
    unsigned object = none, sum = 0;  // the sum is of biased bits
    int begin = 0;                    // of the lane's pixels that a read goes through
  };

  template <bool in_packs, class Value>
  __device__ static void write(unsigned* row, const Value& value) {
    if constexpr (in_packs) {
      constexpr int side_by_side = std::min(count, 4);
      struct alignas(sizeof(unsigned) * side_by_side) Pack {
        unsigned values[side_by_side];
      };
#pragma unroll
      for (int v = 0; v < count; v += side_by_side) {
        Pack pack;
#pragma unroll
        for (int i = 0; i < side_by_side; ++i) pack.values[i] = value(v + i);
        *reinterpret_cast<Pack*>(row + lane_index() * count + v) = pack;
      }
    } else {
#pragma unroll
      for (int v = 0; v < count; ++v) row[v * warp_size + lane_index()] = value(v);
    }
  }

  __device__ static int channel() { return lane_index() % channels; }

  __device__ void read(int round, bool (&plain)[lane_pixels / 4]) {
    const int first = lane_index() / channels * lane_pixels;
    const auto* const objects = reinterpret_cast<const uint4*>(tile_.objects + first);
    const auto* const values = reinterpret_cast<const uint4*>(tile_.values[channel()] + first);
    Run& run = runs_[round];
    run.begin -= lane_pixels;
#pragma unroll
    for (int i = 0; i < lane_pixels / 4; ++i) {
      const uint4 value = values[i];
      if (round == 0) plain[i] = goes_on(objects[i], run.object);
      if (plain[i]) {
        run.sum += value.x + value.y + value.z + value.w;
      } else {
        const uint4 object = objects[i];
        add_one(round, 4 * i, object.x, value.x);
        add_one(round, 4 * i + 1, object.y, value.y);
        add_one(round, 4 * i + 2, object.z, value.z);
        add_one(round, 4 * i + 3, object.w, value.w);
      }
    }
  }

  __device__ static bool goes_on(const uint4& next, unsigned object) {
    return ((next.x ^ object) | (next.y ^ object) | (next.z ^ object) | (next.w ^ object)) == 0;
  }

  __device__ void add_one(int round, int place, unsigned object, unsigned value) {
    if (runs_[round].object != object) go_to(round, place, object);
    runs_[round].sum += value;
  }

  __device__ void go_to(int round, int place, unsigned object) {
    Run& run = runs_[round];
    if (run.object != none) {
      const int pixels = place - run.begin;
      const unsigned sum = run.sum - pixels * fixed_bias_bits;
      long long* const row = column_ + uint64_t{run.object} * row_size_;
      add_to(row + round * channels, static_cast<int>(sum));
      if (round == 0 && channel() == 0) add_to(row + D, pixels);
    }
    run = {object, 0, place};
  }

  Tile& tile_;
  long long* column_;  // the lane's, of the table
  uint32_t row_size_;
  Run runs_[rounds];
};

}  // namespace embedseg::cuda
