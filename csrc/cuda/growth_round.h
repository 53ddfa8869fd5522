// A block's work on a tile in a round of levels.
//
// Between rounds, two bits tell a pixel's state: it is settled (of an object, or out of bounds), and it is fresh, that
// is, it joined in the last level. Only fresh ones matter to their neighbours: those refused the others when they had
// joined. A round reads the bits of the round before and writes those of the next, in memory of its own; of `out` it
// reads fresh pixels alone, which nobody writes any more. So blocks may be at different levels of a round.
#pragma once

#include "cuda/growth_choice.h"

namespace embedseg::cuda {

// A tile at the end of a round: the bits that it wrote are those that it had read; or not; or some are fresh.
constexpr uint8_t at_rest = 0, has_changed = 1, still_grows = 2;

struct Bits {
  uint16_t *settled, *fresh;  // [rows of the batch, halfwords in a row]
  uint8_t* states;            // [tiles]
};

struct Growth {
  GrowthTask task;
  Tiling tiling;
  Bits bits[2];       // before a round and after it; they take turns
  uint32_t* growing;  // [3]: whether some tile still grows after this round; the next round's is cleared meanwhile
  uint32_t* rounds;
};

static_assert(most_tile_rows <= growth_threads && Tile::words <= warps * warp_size);

// A block's work on a tile. All its threads take part; thread r has row r, a warp has every eighth word.
template <class T>
class TileGrowth {
 public:
  __device__ TileGrowth(const Growth& growth, uint32_t tile)
      : growth_(growth), tiling_(growth.tiling), tile_(shared_object<Tile>()), place_(tiling_.place(tile)) {}

  __device__ void load_seeds() {
    prepare();
    __syncthreads();
    for (int word = warp(); word < words(); word += warps) {
      const unsigned inside = static_cast<unsigned>(tile_.inside[word / 2] >> word % 2 * warp_size);
      const bool there = inside >> lane_index() & 1;
      const int32_t seed = there ? growth_.task.seeds[pixel_in_batch(word)] : -1;
      tile_.objects[word * warp_size + lane_index()] = seed < 0 ? -1 : seed;
      const unsigned fresh = __ballot_sync(whole_warp, seed > 0), free = __ballot_sync(whole_warp, seed == 0);
      if (lane_index() != 0) continue;
      tile_.fresh[0][word] = fresh;
      tile_.free[word] = free;
    }
    __syncthreads();
    if (has_row()) tile_.free_at_first[row()] = Tile::row(tile_.free, row());
  }

  __device__ void load(const Bits& bits) {
    prepare();
    if (has_row()) {
      const Row inside = tile_.inside[row()];
      const Row fresh = inside == 0 ? 0 : read(bits.fresh) & tiling_.near_core(row(), tiling_.levels);
      const Row free = inside == 0 ? 0 : ~read(bits.settled) & inside;
      tile_.free_at_first[row()] = free;
      Tile::set_row(tile_.fresh[0], row(), fresh);
      Tile::set_row(tile_.free, row(), free);
    }
    __syncthreads();
    for_words(tile_.fresh[0], [&](int word, unsigned fresh) {
      if (!bit_of(fresh)) return;
      tile_.objects[word * warp_size + lane_index()] = growth_.task.out[pixel_in_batch(word)];
    });
    __syncthreads();
  }

  // turn: counts all levels of all tiles of the block
  __device__ void grow(int levels, uint32_t& turn) {
    for (int level = 1; level <= levels; ++level) {
      ++turn;
      find_candidates(level, turn);
      __syncthreads();
      fresh_ ^= 1;
      if (tile_.open != turn) return;  // nor will a later level have any
      join_candidates();
      __syncthreads();
    }
  }

  // turn: that of the last level, plus 1. Returns the tile's state as far as other pixels joined, or are fresh.
  __device__ uint8_t store(const Bits& bits, bool first, uint32_t turn) {
    if (has_row()) {
      const Row fresh = Tile::row(tile_.fresh[fresh_], row()), free = Tile::row(tile_.free, row()) & ~fresh;
      const Row own = core() & tile_.inside[row()];
      const Row written = own & (first ? ~Row{0} : tile_.free_at_first[row()] & ~free);
      if (own != 0) {
        write(bits.settled, ~free & tile_.inside[row()]);
        write(bits.fresh, fresh);
      }
      Tile::set_row(tile_.free, row(), free);
      Tile::set_row(tile_.candidates, row(), written);
      if (written != 0) tile_.changed = turn;
      if ((fresh & core()) != 0) tile_.growing = turn;
    }
    __syncthreads();
    for_words(tile_.candidates, [&](int word, unsigned written) {
      if (!bit_of(written)) return;
      const int32_t object = tile_.objects[word * warp_size + lane_index()];
      growth_.task.out[pixel_in_batch(word)] = bit_of(tile_.free[word]) ? 0 : object;
    });
    return tile_.growing == turn ? still_grows : tile_.changed == turn ? has_changed : at_rest;
  }

 private:
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / warp_size; }
  __device__ static int row() { return static_cast<int>(threadIdx.x); }
  __device__ bool has_row() const { return row() < tiling_.rows(); }
  __device__ int words() const { return 2 * tiling_.rows(); }
  __device__ Row core() const { return tiling_.near_core(row(), 0); }

  __device__ static bool bit_of(unsigned word) { return (word >> lane_index() & 1) != 0; }
  __device__ int64_t pixel_in_batch(int word) const {
    return place_.image * tiling_.grid.pixels() + tile_.pixel(word * warp_size + lane_index());
  }

  // Calls body(word, its bits) for the words of this warp that have some.
  template <class Body>
  __device__ void for_words(const uint32_t* bits, const Body& body) const {
#pragma unroll 1
    for (unsigned left = own_words(bits); left != 0; left &= left - 1) {
      const int word = first_word(left);
      body(word, bits[word]);
    }
  }

  // Which words of this warp have bits.
  __device__ unsigned own_words(const uint32_t* bits) const {
    const int own = lane_index() * warps + warp();
    return __ballot_sync(whole_warp, own < words() && bits[own] != 0);
  }
  __device__ static int first_word(unsigned words) { return (__ffs(static_cast<int>(words)) - 1) * warps + warp(); }

  // What does not depend on labels; of every row, the columns that are in the image.
  __device__ void prepare() {
    for (int i = static_cast<int>(threadIdx.x); i < words() * sectors_at_once; i += growth_threads) {
      for (int way = 0; way < Tile::ways; ++way) tile_.verdicts[way][i] = 0;
    }
    if (!has_row()) return;
    const RowPlace place = tiling_.row(place_, row());
    tile_.inside[row()] = place.inside ? tiling_.within(place_) : 0;
    tile_.first_pixels[row()] = place.inside ? place.row * static_cast<int32_t>(tiling_.grid.width) + place_.x : 0;
  }

  __device__ void find_candidates(int level, uint32_t turn) {
    if (!has_row()) return;
    const Row free = Tile::row(tile_.free, row()) & ~Tile::row(tile_.fresh[fresh_], row());
    Row candidates = tiling_.near_core(row(), tiling_.levels - level) & free;
    if (candidates != 0) {
      Row around = 0;
      for (int z = -tiling_.planes_around(); z <= tiling_.planes_around(); ++z) {
        for (int y = -1; y <= 1; ++y) around |= Tile::row(tile_.fresh[fresh_], row() + z * tiling_.height + y);
      }
      candidates &= around | around << 1 | around >> 1;
    }
    if (candidates != 0) tile_.open = turn;
    Tile::set_row(tile_.free, row(), free);
    Tile::set_row(tile_.candidates, row(), candidates);
    Tile::set_row(tile_.fresh[fresh_ ^ 1], row(), 0);
  }

  // Collects the warp's candidates until they fill it.
  __device__ void join_candidates() {
    uint16_t* const queue = tile_.queues[warp()];
    int count = 0;
    for (unsigned left = own_words(tile_.candidates);;) {
      for (; left != 0 && count < warp_size; left &= left - 1) {
        const int word = first_word(left);
        const unsigned candidates = tile_.candidates[word], before = candidates & ((1u << lane_index()) - 1);
        if (bit_of(candidates)) queue[count + __popc(before)] = static_cast<uint16_t>(word * warp_size + lane_index());
        count += __popc(candidates);
      }
      if (count == 0) return;
      __syncwarp();
      const bool there = lane_index() < count;
      const int pixel = there ? queue[lane_index()] : 0;
      count = count < warp_size ? 0 : count - warp_size;
      const uint16_t next = lane_index() < count ? queue[warp_size + lane_index()] : 0;
      __syncwarp();
      if (lane_index() < count) queue[lane_index()] = next;
      join(pixel, there);
    }
  }

  __device__ void join(int pixel, bool candidate) {
    Judge<T> judge(growth_.task, tile_, place_.image);
    Offers offers(tiling_, tile_, tile_.fresh[fresh_ ^ 1], pixel / tile_width, pixel % tile_width);
    const int32_t object = choose<T>(judge, offers, pixel, candidate);
    if (object == 0) return;
    tile_.objects[pixel] = object;
    atomicOr(&tile_.fresh[fresh_][pixel / warp_size], 1u << pixel % warp_size);
  }

  // Where the bits of this thread's row are in memory.
  __device__ int64_t first_halfword() const {
    const int64_t row_of_batch =
        place_.image * tiling_.grid.depth * tiling_.grid.height + tiling_.row(place_, row()).row;
    return row_of_batch * tiling_.halfwords_in_row() + 3 * place_.column;
  }
  __device__ Row read(const uint16_t* bits) const {
    const uint16_t* const at = bits + first_halfword();
    return Row{at[0]} >> 8 | Row{at[1]} << 8 | Row{at[2]} << 24 | Row{at[3]} << 40 | Row{at[4]} << 56;
  }

  __device__ void write(uint16_t* bits, Row row) const {
    uint16_t* const at = bits + first_halfword() + 1;
    for (int i = 0; i < 3; ++i) at[i] = static_cast<uint16_t>(row >> (core_begin + 16 * i));
  }

  const Growth& growth_;
  const Tiling& tiling_;
  Tile& tile_;
  const TilePlace place_;
  int fresh_ = 0;  // which of the two is that of the level before
};

}  // namespace embedseg::cuda
