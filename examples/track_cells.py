# %% [markdown]
# # Track cells
#
# Cells of a time series are segmented frame by frame, then linked from frame to frame. The links are those of
# [LapTrack](https://laptrack.readthedocs.io), which solves one assignment for each pair of frames:
# `pip install "embedseg-ops[tracking]"`. What a link costs is ours: how little two objects overlap, and how far their
# embeddings point apart.

# %%
import itertools

import numpy as np
from laptrack import LapTrack
from PIL import Image

import embedseg_ops
from embedseg_ops import figures
from embedseg_ops.data.drawn import moving_cells
from embedseg_ops.predict.prediction import predict_image

images, truth = moving_cells(seed=0)
model = embedseg_ops.load_model()

# %% [markdown]
# ## Objects of every frame
#
# `mean_embedding` gives the direction of each object, of length 1; the first one is the background's.

# %%
labels, objects = [], []  # objects: frame, id and direction
for time, image in enumerate(images):
    prediction = predict_image(image[None], model)
    found = prediction.label()
    directions = embedseg_ops.mean_embedding(prediction.embedding, found[None])[0][0].numpy()
    labels.append(found.numpy())
    objects.append([[time, number, *directions[number]] for number in range(1, len(directions))])
print("objects:", *map(len, objects))

# %% [markdown]
# ## Links
#
# The cost begins at 0: the same pixels and the same direction. Objects that have no pixel in common are not linked.
# LapTrack takes such a function as its `metric`, and the objects of each frame as an array.

# %%


def overlaps(one, other):
    """Return the share of common pixels in the union of each object of one frame and each of another."""
    common = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(common, (one.ravel(), other.ravel()), 1)
    return common / (common.sum(1, keepdims=True) + common.sum(0) - common)


shared = [overlaps(one, other) for one, other in itertools.pairwise(labels)]


def link(weight):
    """Return the links as (frame, id, id in the next frame); the embedding counts by `weight`."""

    def cost(one, other):
        overlap = shared[int(one[0])][int(one[1]), int(other[1])]
        return 1 - overlap + weight * (1 - one[2:] @ other[2:]) if overlap else np.inf

    tracker = LapTrack(metric=cost, cutoff=1 + weight / 2, gap_closing_cutoff=False)
    graph = tracker.predict([np.array(frame) for frame in objects])
    return [(time, objects[time][i][1], objects[time + 1][j][1]) for (time, i), (_, j) in graph.edges]


# %% [markdown]
# ## How many are right?
#
# The drawing knows each cell's way. A link is right if both of its objects share more than half of their union with the
# same cell. Found are fewer than there are: cells that others cover, or that the border cuts, are not segmented.

# %%


def cell_of(time, number):
    """Return the true cell that shares more than half of its union with an object; 0 for none."""
    inside = overlaps(labels[time], truth[time])[number]
    return int(inside.argmax()) if inside.max() > 0.5 else 0


cells = [set(np.unique(frame)) - {0} for frame in truth]
true_links = sum(len(one & other) for one, other in itertools.pairwise(cells))
scores = {}
for weight in (0.0, 0.2, 1.0):
    links = link(weight)
    right = sum(cell_of(time, one) == cell_of(time + 1, other) > 0 for time, one, other in links)
    scores[weight] = right / len(links), right / true_links
    print(f"weight {weight}: {right} of {len(links)} links are right; the truth has {true_links}")

# %% [markdown]
# Overlap alone suffices here, and a heavy weight harms: an embedding tells a cell from its neighbours, and turns when
# these change. A small weight decides between objects that overlap alike.

# %%
links = link(0.2)
tracks = [np.zeros_like(frame) for frame in labels]
names = {}  # the number of an object's track
for time, frame in enumerate(objects):
    for _, number, *_ in frame:
        names.setdefault((time, number), len(names) + 1)
        tracks[time][labels[time] == number] = names[time, number]
    for now, one, other in links:
        if now == time:
            names[time + 1, other] = names[time, one]
Image.fromarray(figures.panels([figures.colour_labels(frame).repeat(2, 0).repeat(2, 1) for frame in tracks[:4]],
                               [f"frame {time}" for time in range(4)]))  # fmt: skip
