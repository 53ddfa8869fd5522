// Sums of what a warp's pixels have, object by object. Pixels next to each other mostly are one object's: a run. They
// pass through shared memory, where lanes write pixels and read channels: a lane then has one channel of a segment of
// pixels, sums up while the object is the same, and adds a run to the table by one atomic.
#pragma once

#include "cuda/pixels.h"

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

// A warp sums up a stretch of pixels, a segment for every D lanes; group by group, in which it has `count` pixels a
// lane. A segment's part of a group goes on where that of the group before ends. in_packs: whether a lane's pixels lie
// side by side.
template <int D, int count, bool in_packs>
class RunSums {
 public:
  static constexpr int lane_pixels = count * D;  // that a lane reads one channel of
  static constexpr int groups = 8;
  static constexpr int segment = groups * lane_pixels;
  static constexpr int stretch = warp_size / D * segment;
  static_assert(segment < 512, "the sum of a segment has 32 bits");
  static_assert(lane_pixels <= warp_size);

  struct Tile {
    static constexpr int pixels = count * warp_size;
    alignas(16) unsigned objects[pixels];
    alignas(16) unsigned values[D][pixels + 4];  // 4 more, so that lanes do not meet in a bank
  };

  // table: [objects, D + 1] of one image, below 2³² in all; the last column is for the pixels' number
  __device__ RunSums(Tile& tile, long long* table) : tile_(tile), column_(table + channel()) {}

  // The lane's pixels of a group of the stretch that begins at `begin`.
  __device__ static LanePixels pixels_of(int64_t begin, int group) {
    const int place = lane_index() * (in_packs ? count : 1);
    const int first = place / lane_pixels * segment + place % lane_pixels + group * lane_pixels;
    return {begin + first, in_packs ? 1 : warp_size / lane_pixels * segment};
  }

  // The objects of the lane's pixels, −1 for none's, and the biased bits of their channels.
  __device__ void add(const int32_t (&objects)[count], const unsigned (&values)[D][count]) {
    write(tile_.objects, [&](int v) { return static_cast<unsigned>(objects[v]); });
#pragma unroll
    for (int d = 0; d < D; ++d) write(tile_.values[d], [&](int v) { return values[d][v]; });
    __syncwarp();
    read();
    __syncwarp();
  }

  __device__ void write_through() { go_to(0, none); }

 private:
  static constexpr unsigned none = ~0u;

  struct Run {
    unsigned object = none, sum = 0;  // the sum is of biased bits
    int begin = 0;                    // of the lane's pixels that a read goes through
  };

  template <class Value>
  __device__ static void write(unsigned* row, const Value& value) {
    constexpr int side_by_side = in_packs ? std::min(count, 4) : 1;
    struct alignas(sizeof(unsigned) * side_by_side) Pack {
      unsigned values[side_by_side];
    };
#pragma unroll
    for (int v = 0; v < count; v += side_by_side) {
      Pack pack;
#pragma unroll
      for (int i = 0; i < side_by_side; ++i) pack.values[i] = value(v + i);
      *reinterpret_cast<Pack*>(row + (in_packs ? lane_index() * count + v : v * warp_size + lane_index())) = pack;
    }
  }

  __device__ static int channel() { return lane_index() % D; }

  __device__ void read() {
    const int first = lane_index() / D * lane_pixels;
    const auto* const objects = reinterpret_cast<const uint4*>(tile_.objects + first);
    const auto* const values = reinterpret_cast<const uint4*>(tile_.values[channel()] + first);
    const unsigned plain = plain_quads(tile_.objects + first);
#pragma unroll
    for (int i = 0; i < lane_pixels / 4; ++i) {
      const uint4 value = values[i];
      const unsigned before = run_.sum;
      run_.sum += (value.x + value.y) + (value.z + value.w);
      if ((plain >> i & 1) == 0) {
        run_.sum = before;
        const uint4 object = objects[i];
        add_one(4 * i, object.x, value.x);
        add_one(4 * i + 1, object.y, value.y);
        add_one(4 * i + 2, object.z, value.z);
        add_one(4 * i + 3, object.w, value.w);
      }
    }
    run_.begin -= lane_pixels;
  }

  // Bit i: whether pixels 4 i to 4 i + 3 go on with the object before. The lanes of a segment share the work.
  __device__ unsigned plain_quads(const unsigned* objects) const {
    constexpr int quads = lane_pixels / 4, at_once = std::min(quads, D);
    unsigned plain = 0;
#pragma unroll
    for (int begin = 0; begin < quads; begin += at_once) {
      const int quad = begin + channel() % at_once;
      const uint4 next = reinterpret_cast<const uint4*>(objects)[quad];
      const unsigned before = objects[std::max(4 * quad, 1) - 1], object = quad == 0 ? run_.object : before;
      const bool goes_on = ((next.x ^ object) | (next.y ^ object) | (next.z ^ object) | (next.w ^ object)) == 0;
      plain |= (__ballot_sync(whole_warp, goes_on) >> (lane_index() / D * D) & ((1u << at_once) - 1)) << begin;
    }
    return plain;
  }

  __device__ void add_one(int place, unsigned object, unsigned value) {
    if (run_.object != object) go_to(place, object);
    run_.sum += value;
  }

  __device__ void go_to(int place, unsigned object) {
    if (run_.object != none) {
      const int pixels = place - run_.begin;
      long long* const entry = column_ + run_.object * static_cast<uint32_t>(D + 1);
      add_to(entry, static_cast<int>(run_.sum - pixels * fixed_bias_bits));
      if (channel() == 0) add_to(entry + D, pixels);
    }
    run_ = {object, 0, place};
  }

  Tile& tile_;
  long long* column_;  // the lane's, of the table
  Run run_;
};

}  // namespace embedseg::cuda
