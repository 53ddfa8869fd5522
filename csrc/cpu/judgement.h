// The test that growth asks of a pixel: is it within the cosine distance of an object's mean embedding?
#pragma once

#include "cpu/direction_sums.h"

namespace embedseg {

class Judgement {
 public:
  // sums: of the seeds' pixels, `objects` rows an image
  Judgement(const EmbeddingView& view, const DirectionSums& sums, double max_distance);

  // Cosine distance in double, whatever the embedding's dtype; infinite for a pixel that is not finite.
  double distance(int64_t image, int64_t pixel, int64_t row) const;

  const EmbeddingView& view;
  double max_distance;
  const void* means = nullptr;  // [rows, dim] of the type to compute in

 private:
  std::vector<double> exact_means_;
  std::vector<float> rounded_means_;
};

}  // namespace embedseg
