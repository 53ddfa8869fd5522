// The passes of the distance map.
#include "cpu/distance_map_kernel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "simd/lanes.h"

EMBEDSEG_KERNEL_BEGIN
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

template <class Work>
void for_each_part(int64_t parts, int64_t pixels_each, const Work& work) {
  torch::stable::parallel_for(0, parts, std::max<int64_t>(1, grain_pixels / pixels_each), work);
}

// Of numbers that are not negative: those are in the order of their bits, and compilers vectorise a maximum of
// integers.
float largest_of(const float* values, int64_t count) {
  int32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::bit_cast<int32_t>(values[i]));
  return std::bit_cast<float>(largest);
}

// Squared distances along the first of the axes [rows, width], in the columns from `begin` to before `end`.
void count_along_first_axis(const int32_t* labels, float* squares, int64_t rows, int64_t width, int64_t begin,
                            int64_t end, float weight) {
  std::fill(squares + begin, squares + end, infinity);
  for (int64_t y = 1; y < rows; ++y)
    for (int64_t i = y * width + begin; i < y * width + end; ++i)
      squares[i] = labels[i] == labels[i - width] ? squares[i - width] + 1 : 1;
  std::vector<float> below(end - begin, infinity);
  for (int64_t y = rows - 1; y >= 0; --y) {
    const int32_t* here = labels + y * width + begin;
    const int32_t* next = y + 1 < rows ? here + width : here;  // infinity + 1 stays what it is
    float* out = squares + y * width + begin;
    for (int64_t x = 0; x < end - begin; ++x) {
      below[x] = here[x] == next[x] ? below[x] + 1 : 1;
      const float steps = std::min(out[x], below[x]);
      out[x] = steps * steps * weight;
    }
  }
}

// Takes one line at a time from squared distances without its axis to squared distances with it.
class LineTransform {
 public:
  LineTransform(int64_t length, float weight)
      : length_(length), weight_(weight), line_(length + 2 * margin), parabolas_(length + 2), borders_(length + 2) {}

  // Calls done(id, begin, end) after every run of an object.
  template <class Done>
  void transform(const int32_t* labels, float* squares, const Done& done) {
    for_each_run(labels, 0, length_, [&](int32_t id, int64_t begin, int64_t end) {
      if (id <= 0) return;
      transform_run(squares + begin, end - begin, begin > 0, end < length_);
      done(id, begin, end);
    });
  }

 private:
  static constexpr int64_t chunk = 16;  // pixels that are searched together
  static constexpr int64_t longest_search = 256;
  static constexpr int64_t margin = longest_search + chunk;

  // `before`, `after`: whether there is a pixel, of another object, on that side of the run.
  void transform_run(float* squares, int64_t size, bool before, bool after) {
    float* run = line_.data() + margin;
    std::memcpy(run, squares, size * sizeof(float));
    const int64_t steps = search_steps(largest_of(run, size), 0, size, size, before, after);
    const int64_t beyond = std::min(steps, longest_search) + chunk;
    std::fill(run - beyond, run, before ? 0 : infinity);
    std::fill(run + size, run + size + beyond, after ? 0 : infinity);
    if (steps > longest_search) return lower_envelope(squares, size);
    for (int64_t x = 0; x < size; x += chunk) {
      const int64_t end = std::min(x + chunk, size);
      const float largest = largest_of(run + x, chunk);  // beyond the run it may be too large: only a longer search
      search(run + x, squares + x, end - x, search_steps(largest, x, end, size, before, after));
    }
  }

  // How far from the pixels begin .. end - 1 of a run the nearest pixel outside can be.
  int64_t search_steps(float largest, int64_t begin, int64_t end, int64_t size, bool before, bool after) const {
    const int64_t centre = std::clamp((size - 1) / 2, begin, end - 1);
    int64_t steps = size;
    if (before && after) steps = std::min(centre + 1, size - centre);
    if (before && !after) steps = end;
    if (after && !before) steps = size - begin;
    return static_cast<int64_t>(std::min<float>(steps, std::sqrt(largest / weight_)));
  }

  // Looks at all pixels up to `steps` away from each of the first `size` pixels of a chunk.
  void search(const float* run, float* squares, int64_t size, int64_t steps) const {
    Lanes<float> best[chunk / W], left, right;
    std::memcpy(best, run, sizeof best);
    for (int64_t k = 1; k <= steps; ++k) {
      const float along = weight_ * static_cast<float>(k * k);
      for (int64_t v = 0; v < chunk / W; ++v) {
        std::memcpy(&left, run + v * W - k, sizeof left);
        std::memcpy(&right, run + v * W + k, sizeof right);
        const Lanes<float> found = (left < right ? left : right) + along;
        best[v] = found < best[v] ? found : best[v];
      }
    }
    std::memcpy(squares, best, size * sizeof(float));
  }

  // Felzenszwalb and Huttenlocher, Distance Transforms of Sampled Functions, 2012: in linear time however far it is.
  [[gnu::noinline]] void lower_envelope(float* squares, int64_t size) {
    const float* run = line_.data() + margin;
    const auto crossing = [&](double p, double q, double rise) {
      return (rise / weight_ + q * q - p * p) / 2 / (q - p);
    };
    int64_t count = 0;
    for (int64_t q = -1; q <= size; ++q) {
      if (run[q] == infinity) continue;
      double border = -std::numeric_limits<double>::infinity();
      for (; count > 0; --count) {
        const int64_t p = parabolas_[count - 1];
        border = crossing(p, q, static_cast<double>(run[q]) - run[p]);
        if (border > borders_[count - 1]) break;
      }
      parabolas_[count] = q;
      borders_[count++] = border;
    }
    for (int64_t x = 0, i = 0; x < size && count > 0; ++x) {
      while (i + 1 < count && borders_[i + 1] < x) ++i;
      const int64_t steps = x - parabolas_[i];
      squares[x] = run[parabolas_[i]] + weight_ * static_cast<float>(steps * steps);
    }
  }

  int64_t length_;
  float weight_;
  std::vector<float> line_;  // the run at hand, and what lies beside it
  std::vector<int64_t> parabolas_;
  std::vector<double> borders_;
};

void transform_first_axis(const DistanceTask& image) {
  constexpr int64_t block = 256;  // columns: whole cache lines, and two rows of them stay in the cache
  const bool flat = image.grid.depth == 1;
  const int64_t rows = flat ? image.grid.height : image.grid.depth;
  const int64_t width = image.grid.pixels() / rows;
  for_each_part((width + block - 1) / block, rows * block, [&](int64_t first, int64_t last) {
    for (int64_t begin = first * block; begin < std::min(last * block, width); begin += block)
      count_along_first_axis(image.labels, image.squares, rows, width, begin, std::min(begin + block, width),
                             image.weights[flat ? 1 : 0]);
  });
}

// Columns of a plane, several at a time, are copied to lines and back: a cache line holds a pixel of each.
void transform_columns(const DistanceTask& image) {
  constexpr int64_t block = 16;
  const int64_t depth = image.grid.depth, height = image.grid.height, width = image.grid.width;
  const int64_t blocks = (width + block - 1) / block;
  for_each_part(depth * blocks, height * block, [&](int64_t first, int64_t last) {
    LineTransform line(height, image.weights[1]);
    std::vector<int32_t> labels(block * height);
    std::vector<float> squares(block * height);
    for (int64_t part = first; part < last; ++part) {
      const int64_t x = part % blocks * block, columns = std::min(block, width - x);
      const int64_t corner = part / blocks * height * width + x;
      for (int64_t y = 0; y < height; ++y)
        for (int64_t c = 0; c < columns; ++c) {
          labels[c * height + y] = image.labels[corner + y * width + c];
          squares[c * height + y] = image.squares[corner + y * width + c];
        }
      for (int64_t c = 0; c < columns; ++c) line.transform(&labels[c * height], &squares[c * height], [](auto...) {});
      for (int64_t y = 0; y < height; ++y)
        for (int64_t c = 0; c < columns; ++c) image.squares[corner + y * width + c] = squares[c * height + y];
    }
  });
}

// Returns the largest squared distance of every object.
std::vector<float> transform_rows(const DistanceTask& image, const ObjectPlaces& places) {
  const int64_t width = image.grid.width, rows = image.grid.pixels() / width;
  std::vector<float> largest(places.size());
  for_each_part(rows, width, [&](int64_t first, int64_t last) {
    LineTransform line(width, image.weights[2]);
    for (int64_t row = first; row < last; ++row) {
      float* squares = image.squares + row * width;
      line.transform(image.labels + row * width, squares, [&](int32_t id, int64_t begin, int64_t end) {
        raise_to(largest[places[id]], largest_of(squares + begin, end - begin));
      });
    }
  });
  return largest;
}

void normalise(const DistanceTask& image, const ObjectPlaces& places, const std::vector<float>& largest) {
  torch::stable::parallel_for(0, image.grid.pixels(), grain_pixels, [&](int64_t first, int64_t last) {
    for_each_run(image.labels, first, last, [&](int32_t id, int64_t begin, int64_t end) {
      const float scale = id > 0 ? largest[places[id]] : 0;
      if (id <= 0 || scale == infinity)  // nothing outside it: the object is the image
        std::fill(image.squares + begin, image.squares + end, id > 0 ? 1.0f : 0.0f);
      else
        for (int64_t i = begin; i < end; ++i) image.squares[i] = std::sqrt(image.squares[i] / scale);
    });
  });
}

}  // namespace

void measure(const DistanceTask& image, const ObjectPlaces& places) {
  transform_first_axis(image);
  if (image.grid.depth > 1) transform_columns(image);
  normalise(image, places, transform_rows(image, places));
}

EMBEDSEG_KERNEL_END
