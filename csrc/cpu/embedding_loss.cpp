// The embedding loss and the tables that its backward needs. docs/method.md, Embedding loss.
#include <torch/csrc/stable/library.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "common/checks.h"
#include "cpu/direction_sums.h"

namespace embedseg::cpu {
namespace {

double dot(const double* a, const double* b, int64_t size) {
  double even = 0, odd = 0;  // two sums at once: one alone would wait for itself
  int64_t i = 0;
  for (; i + 1 < size; i += 2) even += a[i] * b[i], odd += a[i + 1] * b[i + 1];
  return (i < size ? even + a[i] * b[i] : even) + odd;
}

void add_scaled(double* __restrict to, double factor, const double* __restrict values, int64_t size) {
  for (int64_t i = 0; i < size; ++i) to[i] += factor * values[i];
}

// The loss of one image, from the sums over its objects: work of the size of K × D, in double.
class ImageLoss {
 public:
  ImageLoss(const DirectionSums& sums, const double* means, int64_t first_row, int64_t objects, bool weighted,
            bool balanced)
      : sums_(sums),
        means_(means + first_row * sums.dim),
        first_row_(first_row),
        objects_(objects),
        weighted_(weighted) {
    lengths_.resize(objects);
    neighbors_.assign(objects, 0);
    occurs_.resize(objects);
    for (int64_t k = 0; k < objects; ++k) {
      lengths_[k] = sums.length(first_row + k);
      pixels_ += count(k);
      occurs_[k] = count(k) > 0;
      occurring_ += occurs_[k];
    }
    const int64_t background = objects > 0 ? count(0) : 0;
    if (balanced && background > 0 && background < pixels_) {
      background_weight_ = 0.5 * pixels_ / background;
      foreground_weight_ = 0.5 * pixels_ / (pixels_ - background);
    }
  }

  int64_t dim() const { return sums_.dim; }
  int64_t count(int64_t k) const { return sums_.count(first_row_ + k); }
  bool occurs(int64_t k) const { return k >= 0 && k < objects_ && occurs_[k]; }
  const double* mean(int64_t k) const { return means_ + k * sums_.dim; }
  double class_weight(int64_t k) const { return k == 0 ? background_weight_ : foreground_weight_; }
  bool empty() const { return pixels_ == 0; }

  double consistency() const {
    double loss = 0;
    for (int64_t k = 0; k < objects_; ++k) {
      if (!weighted_) {
        loss += class_weight(k) * (static_cast<double>(count(k)) - lengths_[k]);
      } else {
        loss += sums_.total_weight(first_row_ + k);
        for (int64_t d = 0; d < dim(); ++d) loss -= sums_.weighted_sum(first_row_ + k, d) * mean(k)[d];
      }
    }
    return loss / static_cast<double>(pixels_);
  }

  // ∂L_con/∂ê_p: for every pixel of k the same, −w_k u_k / N, where weights go by class. With a weight a pixel, the
  // part through u_k is in the rows, and −w_p u_k / N in the weighted rows.
  void consistency_gradient(double scale, double* rows, double* weighted_rows) const {
    const double share = scale / static_cast<double>(pixels_);
    for (int64_t k = 0; k < objects_; ++k) {
      for (int64_t d = 0; d < dim(); ++d) {
        if (weighted_) {
          rows[k * dim() + d] = -share * sums_.weighted_sum(first_row_ + k, d);
          weighted_rows[k * dim() + d] = -share * mean(k)[d];
        } else {
          rows[k * dim() + d] = -share * class_weight(k) * mean(k)[d];
        }
      }
      if (weighted_) through_mean(k, rows + k * dim());
    }
  }

  void count_neighbor(int64_t k, int64_t n) {
    if (occurs(k) && occurs(n)) ++neighbors_[k];
  }

  // One pair's part of L_dis; adds its part of ∂L_dis/∂u to the rows.
  double discrimination(int64_t k, int64_t n, double scale, double* rows) const {
    if (!occurs(k) || !occurs(n)) return 0;
    const double share = 1.0 / (static_cast<double>(occurring_) * static_cast<double>(neighbors_[k]));
    const double product = dot(mean(k), mean(n), dim());
    const double slope = scale * share * ((product > 0) - (product < 0));
    add_scaled(rows + k * dim(), slope, mean(n), dim());
    add_scaled(rows + n * dim(), slope, mean(k), dim());
    return share * std::abs(product);
  }

  // From ∂L/∂u_k to ∂L/∂S_k, in place: (I − u uᵀ) g / ‖S‖.
  void through_mean(int64_t k, double* row) const {
    if (lengths_[k] == 0) {
      std::fill_n(row, dim(), 0.0);
      return;
    }
    add_scaled(row, -dot(row, mean(k), dim()), mean(k), dim());
    for (int64_t d = 0; d < dim(); ++d) row[d] /= lengths_[k];
  }

 private:
  const DirectionSums& sums_;
  const double* means_;  // [objects, dim], of this image
  int64_t first_row_, objects_;
  bool weighted_;
  std::vector<double> lengths_;
  std::vector<int64_t> neighbors_;
  std::vector<uint8_t> occurs_;
  int64_t pixels_ = 0, occurring_ = 0;
  double foreground_weight_ = 1, background_weight_ = 1;
};

struct Losses {
  double consistency = 0, discrimination = 0;
};

// pairs: int64 [P, 3]; tables: [2 or 3, B, K, D], ∂L_con/∂ê, ∂L_dis/∂ê and, with weights, their weighted rows
Losses compute(const DirectionSums& sums, int64_t batch, int64_t objects, const Tensor& pairs, bool weighted,
               bool balanced, std::vector<double>& tables) {
  const int64_t table = batch * objects * sums.dim;
  const std::vector<double> means = sums.means();
  std::vector<ImageLoss> images;
  for (int64_t b = 0; b < batch; ++b) images.emplace_back(sums, means.data(), b * objects, objects, weighted, balanced);
  const int64_t* pair = data<int64_t>(pairs);
  const int64_t* const end = pair + 3 * pairs.sizes()[0];
  for (const int64_t* p = pair; p != end; p += 3) {
    STD_TORCH_CHECK(p[0] >= 0 && p[0] < batch, "pairs: names an image that is not there");
    images[p[0]].count_neighbor(p[1], p[2]);
  }

  Losses losses;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const double share = 1.0 / static_cast<double>(batch);
  for (const int64_t* p = pair; p != end; p += 3) {
    double* rows = tables.data() + table + p[0] * objects * sums.dim;
    losses.discrimination += share * images[p[0]].discrimination(p[1], p[2], share, rows);
  }
  for (int64_t b = 0; b < batch; ++b) {
    if (images[b].empty()) continue;
    const int64_t first = b * objects * sums.dim;
    losses.consistency += share * images[b].consistency();
    images[b].consistency_gradient(share, tables.data() + first, tables.data() + (weighted ? 2 * table + first : 0));
    for (int64_t k = 0; k < objects; ++k) images[b].through_mean(k, tables.data() + table + first + k * sums.dim);
    if (sums.not_finite[b] == 0) continue;
    losses.consistency = losses.discrimination = nan;  // a network that diverged must be seen
    for (int64_t k = 0; k < objects; ++k) {
      if (!images[b].occurs(k)) continue;
      for (int64_t from = first + k * sums.dim; from < std::ssize(tables); from += table) {
        std::fill_n(tables.begin() + from, sums.dim, nan);
      }
    }
  }
  return losses;
}

template <class C>
Tensor tensor_of(const std::vector<double>& values, const std::vector<int64_t>& size, ScalarType dtype,
                 const Tensor& like) {
  Tensor tensor = empty(size, dtype, like);
  std::transform(values.begin(), values.end(), data<C>(tensor), [](double value) { return static_cast<C>(value); });
  return tensor;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> embedding_loss(const Tensor& embedding, const Tensor& labels,
                                                          const Tensor& pairs, const std::optional<Tensor>& weights,
                                                          bool balanced, bool background, int64_t num_objects) {
  check_labelled(embedding, labels);
  check_flat(pairs, "pairs", ScalarType::Long, {pairs.numel() / 3, 3}, embedding);
  if (weights)
    check_flat(*weights, "weights", compute_dtype(embedding.scalar_type()), size_of_map(embedding), embedding);
  const EmbeddingView view = view_of(embedding);
  const DirectionSums sums =
      sum_directions(view, view_of_labels(labels, num_objects, background), weights ? &*weights : nullptr);
  const int64_t table_count = weights ? 3 : 2;
  std::vector<double> tables(table_count * sums.rows * sums.dim, 0.0);
  const Losses losses = compute(sums, view.batch, num_objects, pairs, weights.has_value(), balanced, tables);
  const ScalarType dtype = compute_dtype(embedding.scalar_type());
  std::tuple<Tensor, Tensor, Tensor, Tensor> result;
  with_storage(dtype, [&]<class T>() {
    using C = Compute<T>;
    const C total = static_cast<C>(losses.consistency) + static_cast<C>(losses.discrimination);
    result = {tensor_of<C>({total}, {}, dtype, embedding), tensor_of<C>({losses.consistency}, {}, dtype, embedding),
              tensor_of<C>({losses.discrimination}, {}, dtype, embedding),
              tensor_of<C>(tables, {table_count, view.batch, num_objects, view.dim}, dtype, embedding)};
  });
  return result;
}

}  // namespace
}  // namespace embedseg::cpu

STABLE_TORCH_LIBRARY_IMPL(embedseg_ops, CPU, m) { m.impl("embedding_loss", TORCH_BOX(&embedseg::cpu::embedding_loss)); }
