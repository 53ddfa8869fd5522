# %% [markdown]
# # Another network's arrays become labels
#
# Your network predicts an embedding and a distance map. `postprocess` makes a label map of them. It takes NumPy arrays
# or tensors, and needs nothing else of this library.

# %%
import numpy as np
from PIL import Image
from scipy import ndimage

import embedseg_ops
from embedseg_ops import figures
from embedseg_ops.data.drawn import cells

# %% [markdown]
# There is no network in this example. So we make what a good one would predict for a drawn image: neighbours point in
# orthogonal directions, and the distance map is 1 in the middle of a cell. Blur and noise make both imperfect.

# %%
image, truth = cells(seed=0)
random = np.random.default_rng(0)

# one of 8 axes for each object; the background has axis 0
directions = np.zeros(truth.max() + 1, int)
pairs = embedseg_ops.neighbor_pairs(truth, 10.0)  # rows: image, object, neighbour
for k in range(1, truth.max() + 1):
    taken = directions[pairs[pairs[:, 1] == k, 2]]
    directions[k] = min(set(range(1, 8)) - set(taken))

embedding = np.eye(8)[directions[truth]].transpose(2, 0, 1)  # [D, H, W]
embedding = ndimage.gaussian_filter(embedding, (0, 2, 2))
embedding += random.normal(0, 0.1, embedding.shape)
distance = ndimage.gaussian_filter(embedseg_ops.distance_map(truth), 1)  # [H, W]
print("embedding", embedding.shape, "distance", distance.shape)

# %% [markdown]
# The function's defaults are the paper's. `options.TUNED` lets the background compete for pixels, and cuts objects
# where the distance map ends.

# %%
labels_paper = embedseg_ops.postprocess(embedding, distance)
labels_tuned = embedseg_ops.postprocess(embedding, distance, **embedseg_ops.options.TUNED)
for name, labels in {"paper": labels_paper, "tuned": labels_tuned}.items():
    precision = embedseg_ops.metrics.average_precision(truth, labels)
    print(f"{name}: {labels.max()} objects of {truth.max()}, mean AP {precision.mean:.2f}")

# %%
pictures = {
    "image": figures.overlay(image, np.zeros_like(truth), scale=3),
    "embedding": figures.embedding_rgb(embedding).repeat(3, 0).repeat(3, 1),
    "distance map": figures.distance_heat(distance).repeat(3, 0).repeat(3, 1),
    "labels, tuned": figures.overlay(image, labels_tuned, scale=3),
}
Image.fromarray(figures.panels(list(pictures.values()), list(pictures)))
