// A lane's pixels in registers, all their channels: loaded and stored 16 bytes at a time where the layout permits.
#pragma once

#include <cstring>

#include "cuda/direction.h"
#include "cuda/warp.h"

namespace embedseg::cuda {

// The ways to a pixel's channels that kernels are specialised for. Pixels next to each other lie side by side, so that
// one load brings a channel of a few (planar_packs), or where they are not aligned of one (planar); or a pixel's
// channels lie side by side (interleaved). Anything else is strided.
enum class Access { planar_packs, planar, interleaved, strided };

template <class T>
constexpr int values_in_load = 16 / static_cast<int>(sizeof(T));

// Which pixels of an image a lane has.
struct LanePixels {
  int64_t first;
  int step;

  __device__ int64_t operator[](int v) const { return first + v * step; }
};

// What a lane holds of one image's pixels: in packs, as many as one load brings, while all their channels fit `most`
// registers as floats.
template <class T, int D, Access access, int most = 64>
struct Pixels {
  using C = Compute<T>;
  static constexpr int dim = D;
  static constexpr int bytes = D * static_cast<int>(sizeof(T));
  static constexpr int count = access == Access::planar_packs  ? std::min(values_in_load<T>, std::max(1, most / D))
                               : access == Access::interleaved ? std::max(1, 64 / bytes)
                                                               : 1;
  static constexpr int channels_in_load = access == Access::interleaved ? std::min(values_in_load<T>, D) : 1;
  static constexpr int pack_size = access == Access::planar_packs ? count : channels_in_load;

  T values[count][D];

  // The lane's of a warp's pixels that begin at `first`: in packs, a lane's pixels are neighbours, else a warp's are.
  __device__ static LanePixels of_warp(int64_t first) {
    if (access == Access::planar_packs) return {first + lane_index() * count, 1};
    return {first + lane_index(), warp_size};
  }

  // Pixels beyond the image are zero.
  __device__ void load(const EmbeddingView& view, int64_t image, const LanePixels& pixels) {
#pragma unroll
    for (int v = 0; v < count; ++v) {
#pragma unroll
      for (int d = 0; d < D; ++d) values[v][d] = T(0);
    }
    for_packs(view, image, pixels, [](T* place, auto&... value) {
      const Pack pack = *reinterpret_cast<const Pack*>(place);
      int i = 0;
      ((value = pack.values[i++]), ...);
    });
  }

  __device__ void store(const EmbeddingView& view, int64_t image, const LanePixels& pixels) {
    for_packs(view, image, pixels, [](T* place, auto&... value) {
      const Pack pack = {{value...}};
      Word word;
      std::memcpy(&word, &pack, sizeof word);
      __stwb(reinterpret_cast<Word*>(place), word);  // a plain store of a pack, nvcc takes apart
    });
  }

  __device__ C value(int v, int d) const { return static_cast<C>(values[v][d]); }

  // How the v-th pixel is scaled. What its values are to be shifted by is done here, where they are.
  __device__ Scale<C> measure(int v) {
    const C square = sum_squares(v, 1);
    if (is_safe(square)) return scale_from_safe(square);
    const C shift = shift_for(square);
    const Scale<C> scale = scale_from(sum_squares(v, shift), shift);
#pragma unroll
    for (int d = 0; d < D; ++d) values[v][d] = static_cast<T>(scale.factor == 0 ? C(0) : value(v, d) * shift);
    return scale;
  }

 private:
  struct alignas(sizeof(T) * pack_size) Pack {
    T values[pack_size];
  };
  using Word = std::conditional_t<
      sizeof(Pack) == 16, uint4,
      std::conditional_t<sizeof(Pack) == 8, uint2, std::conditional_t<sizeof(Pack) == 4, unsigned, unsigned short>>>;

  __device__ C sum_squares(int v, C shift) const {
    C square = 0;
#pragma unroll
    for (int d = 0; d < D; ++d) {
      const C shifted = value(v, d) * shift;
      square += shifted * shifted;
    }
    return square;
  }

  // transfer(place in memory, the values there...) for every load or store there is to do in the image
  template <class Transfer>
  __device__ void for_packs(const EmbeddingView& view, int64_t image, const LanePixels& pixels,
                            const Transfer& transfer) {
    T* const base = static_cast<T*>(view.data) + image * view.batch_stride;
    constexpr int steps = access == Access::planar_packs ? 1 : count;
    constexpr int pixel_stride = access == Access::interleaved ? D : 1;
#pragma unroll
    for (int v = 0; v < steps; ++v) {
      if (pixels[v] >= view.pixels) continue;
      T* place = base + pixels[v] * pixel_stride;
#pragma unroll
      for (int d = 0; d < D; d += channels_in_load, place += channels_in_load * view.dim_stride) {
        transfer_pack(transfer, place, v, d, std::make_integer_sequence<int, pack_size>());
      }
    }
  }

  template <class Transfer, int... i>
  __device__ void transfer_pack(const Transfer& transfer, T* place, int v, int d, std::integer_sequence<int, i...>) {
    if constexpr (access == Access::planar_packs) {
      transfer(place, values[i][d]...);
    } else {
      transfer(place, values[v][d + i]...);
    }
  }
};

// Blocks of 256 threads that a processor is to have registers for at the same time; what holds more would spill.
template <class T, int D>
constexpr int blocks_at_once = D > 16 || sizeof(T) == 2 ? 1 : 2;

template <class T, int D>
Access access_to(const EmbeddingView& view) {
  const auto aligned = [&](int64_t values) {
    return reinterpret_cast<uintptr_t>(view.data) % (values * sizeof(T)) == 0 && view.batch_stride % values == 0;
  };
  const Layout layout = view.layout();
  if (!view.dense() || layout == Layout::strided) return Access::strided;
  if (layout == Layout::interleaved)
    return aligned(std::min(values_in_load<T>, D)) ? Access::interleaved : Access::strided;
  constexpr int packed = Pixels<T, D, Access::planar_packs>::count;
  return aligned(packed) && view.dim_stride % packed == 0 && view.pixels % packed == 0 ? Access::planar_packs
                                                                                       : Access::planar;
}

// Calls body for the kernel that is specialised for both views, template <int D, Access access> void operator()(); for
// any number of channels and any strides, D is 0.
template <class T, class Body>
void with_cuda_kernel(const EmbeddingView& view, const EmbeddingView& other, const Body& body) {
  const auto with_access = [&]<int D>() {
    const Access access = access_to<T, D>(view);
    if (access_to<T, D>(other) != access) return body.template operator()<0, Access::strided>();
    if (access == Access::planar_packs) return body.template operator()<D, Access::planar_packs>();
    if (access == Access::planar) return body.template operator()<D, Access::planar>();
    if (access == Access::interleaved) return body.template operator()<D, Access::interleaved>();
    body.template operator()<0, Access::strided>();
  };
  if constexpr (!std::is_same_v<T, double>) {
    if (view.dim == 4) return with_access.template operator()<4>();
    if (view.dim == 8) return with_access.template operator()<8>();
    if (view.dim == 16) return with_access.template operator()<16>();
    if (view.dim == 32) return with_access.template operator()<32>();
  }
  body.template operator()<0, Access::strided>();
}

}  // namespace embedseg::cuda
