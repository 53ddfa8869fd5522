// The test that growth asks of a pixel: is it within the cosine distance of an object's mean embedding, and closer to
// it than to the background's, where that competes?
#pragma once

#include "cpu/direction_sums.h"

namespace embedseg::cpu {

class Judgement {
 public:
  // means: `objects` rows an image, of which the first is the background's if it competes
  Judgement(const EmbeddingView& view, std::vector<double> means, double max_distance, int64_t objects,
            bool background_competes);

  // Cosine distance in double, whatever the embedding's dtype; infinite for a pixel that is not finite.
  double distance(int64_t image, int64_t pixel, int64_t row) const;

  // Whether the pixel may join the row's object, decided in double.
  bool accepts(int64_t image, int64_t pixel, int64_t row) const;

  int64_t row(int64_t image, int64_t object) const { return image * objects_ + object; }
  int64_t background_row(int64_t image) const { return row(image, 0); }

  const EmbeddingView& view;
  const double max_distance;
  const bool background_competes;
  const void* means = nullptr;  // [rows, dim] of the type to compute in

 private:
  int64_t objects_;
  std::vector<double> exact_means_;
  std::vector<float> rounded_means_;
};

}  // namespace embedseg::cpu
