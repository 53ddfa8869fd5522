// Who takes the candidates of a level: a warp's, 32 at a time. A sector of 8 pixels, as of float memory moves at once,
// is judged for an object as a whole, four of them by a warp; what came out is kept until the round ends.
#pragma once

#include "cuda/growth_tiles.h"
#include "cuda/judgement.h"

namespace embedseg::cuda {

constexpr int growth_threads = 256, warps = growth_threads / warp_size;
constexpr int sector_pixels = 8, sectors_at_once = warp_size / sector_pixels;

// A tile in shared memory.
struct Tile {
  static constexpr int words = most_tile_rows * 2, sectors = words * warp_size / sector_pixels, ways = 2;

  int32_t objects[words * warp_size];     // of the pixels that have joined, -1 out of bounds
  uint64_t verdicts[ways][sectors];       // an object that a sector was judged for, and above it a bit a pixel; 0: none
  Row inside[most_tile_rows];             // the image
  Row free_at_first[most_tile_rows];      // of the round
  int32_t first_pixels[most_tile_rows];   // where rows begin in the image
  uint32_t free[words];                   // may still join; those that did in this level, too
  uint32_t fresh[2][words];               // joined in the level before, in this one; they take turns
  uint32_t candidates[words];             // free, and next to a fresh one
  uint16_t queues[warps][2 * warp_size];  // of candidates
  uint32_t open, changed, growing;  // the block's last turn that had candidates, new pixels, fresh ones in the end

  __device__ static Row row(const uint32_t* words, int row) { return words[2 * row] | Row{words[2 * row + 1]} << 32; }
  __device__ static void set_row(uint32_t* words, int row, Row bits) {
    words[2 * row] = static_cast<uint32_t>(bits);
    words[2 * row + 1] = static_cast<uint32_t>(bits >> 32);
  }
  __device__ int32_t pixel(int index) const { return first_pixels[index / tile_width] + index % tile_width; }
};

constexpr int32_t no_object = std::numeric_limits<int32_t>::max();

// A lane's pixel, and the objects that offer themselves to it: those of the fresh pixels that touch it.
class Offers {
 public:
  __device__ Offers(const Tiling& tiling, const Tile& tile, const uint32_t* fresh, int row, int column)
      : tiling_(tiling), tile_(tile), fresh_(fresh), row_(row), column_(column) {}

  // The least label above one, or no_object.
  __device__ int32_t next(int32_t above) {
    if (above >= largest_) return no_object;
    int32_t least = no_object, largest = 0;
#pragma unroll 1
    for (int z = -tiling_.planes_around(); z <= tiling_.planes_around(); ++z) {
#pragma unroll
      for (int y = -1; y <= 1; ++y) {
        const int row = row_ + z * tiling_.height + y;
        const auto bits = static_cast<unsigned>(Tile::row(fresh_, row) >> (column_ - 1)) & 7;
        if (bits == 0) continue;
        const int32_t* const objects = tile_.objects + row * tile_width + column_ - 1;
#pragma unroll
        for (int x = 0; x < 3; ++x) {
          if ((bits >> x & 1) == 0) continue;
          if (objects[x] > above && objects[x] < least) least = objects[x];
          if (objects[x] > largest) largest = objects[x];
        }
      }
    }
    largest_ = largest;
    return least;
  }

 private:
  const Tiling& tiling_;
  const Tile& tile_;
  const uint32_t* fresh_;
  int row_, column_;
  int32_t largest_ = no_object;  // not known yet
};

// Judges for a warp. Its lanes may ask for sectors of this warp's words alone.
template <class T>
class Judge {
 public:
  __device__ Judge(const GrowthTask& task, Tile& tile, int64_t image) : task_(task), tile_(tile), image_(image) {}

  // A bit for each pixel of a sector: the object accepts it, and it was free. No lane may stay away; those who do not
  // ask say no_object.
  __device__ unsigned accepted(int sector, int32_t object) {
    unsigned bits = 0;
    bool unknown = object != no_object;
    for (int way = 0; unknown && way < Tile::ways; ++way) {
      const uint64_t verdict = tile_.verdicts[way][sector];
      if (static_cast<int32_t>(verdict) != object) continue;
      bits = static_cast<unsigned>(verdict >> 32);
      unknown = false;
    }
    while (__any_sync(whole_warp, unknown)) judge_some(sector, object, bits, unknown);
    return bits;
  }

  __device__ bool is_closer(int pixel, int32_t object, int32_t other) const {
    const Judgement<T> judgement(task_, image_, tile_.pixel(pixel));
    return judgement.distance(object) < judgement.distance(other);
  }

 private:
  // The first sectors that differ, or objects, of the lanes that wait: eight lanes for each.
  __device__ void judge_some(int sector, int32_t object, unsigned& bits, bool& unknown) {
    const int lane = lane_index();
    const uint64_t question = static_cast<uint64_t>(sector) << 32 | static_cast<uint32_t>(object);
    const unsigned same = __match_any_sync(whole_warp, unknown ? question : ~uint64_t{0});
    const int speaker = __ffs(static_cast<int>(same)) - 1;
    const unsigned speakers = __ballot_sync(whole_warp, unknown && lane == speaker);
    unsigned own = speakers;
    for (int i = 0; i < lane / sector_pixels; ++i) own &= own - 1;
    const bool asked = own != 0;
    const int source = asked ? __ffs(static_cast<int>(own)) - 1 : 0;
    const int its_sector = __shfl_sync(whole_warp, sector, source);
    const int32_t its_object = __shfl_sync(whole_warp, object, source);
    const int pixel = its_sector * sector_pixels + lane % sector_pixels;
    const bool free = asked && (tile_.free[pixel / warp_size] >> pixel % warp_size & 1) != 0;
    const bool accepts = free && Judgement<T>(task_, image_, tile_.pixel(pixel)).accepts(its_object);
    const unsigned votes = __ballot_sync(whole_warp, accepts);
    if (asked && lane % sector_pixels == 0) {
      tile_.verdicts[1][its_sector] = tile_.verdicts[0][its_sector];
      tile_.verdicts[0][its_sector] = uint64_t{votes >> lane & 0xff} << 32 | static_cast<uint32_t>(its_object);
    }
    __syncwarp();
    const int rank = __popc(speakers & ((1u << speaker) - 1));
    if (!unknown || rank >= sectors_at_once) return;
    bits = votes >> rank * sector_pixels & 0xff;
    unknown = false;
  }

  const GrowthTask& task_;
  Tile& tile_;
  int64_t image_;
};

// The object that takes a lane's pixel: the closest of those that accept it, of two as close the smaller label; 0 for
// none. All lanes of the warp take part.
template <class T>
__device__ int32_t choose(Judge<T>& judge, Offers& offers, int pixel, bool candidate) {
  int32_t best = 0, object = candidate ? offers.next(0) : no_object;
  while (__any_sync(whole_warp, object != no_object)) {
    const unsigned accepted = judge.accepted(pixel / sector_pixels, object);
    if (object == no_object) continue;
    if ((accepted >> pixel % sector_pixels & 1) != 0 && (best == 0 || judge.is_closer(pixel, object, best))) {
      best = object;
    }
    object = offers.next(object);
  }
  return best;
}

}  // namespace embedseg::cuda
