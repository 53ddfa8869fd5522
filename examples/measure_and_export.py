# %% [markdown]
# # Measure and export
#
# Labels are plain integer arrays, so scikit-image measures them, and any tool reads them as TIFF.

# %%
import csv
import tempfile
from pathlib import Path

import tifffile
from drawn import cells
from PIL import Image
from skimage.measure import regionprops_table

import embedseg_ops
from embedseg_ops import figures

image, truth = cells(seed=3, size=192, count=60)
labels = embedseg_ops.segment(image)  # the shipped model, for fluorescent nuclei

# %% [markdown]
# ## How good is it?
#
# Where true labels are known, one call gives every measure.

# %%
scores = embedseg_ops.metrics.evaluate(truth, labels)
print(f"mean AP {scores.average_precision.mean:.2f}, SBD {scores.symmetric_best_dice:.2f}")
print(f"predicted minus true number of objects: {scores.difference_in_count:.0f}")

# %%
Image.fromarray(figures.matches(truth, labels, image, scale=3))

# %% [markdown]
# ## A table of objects
#
# One row for each object: its label, its area and position in pixels, its mean brightness.

# %%
properties = ("label", "area", "centroid", "eccentricity", "intensity_mean")
table = regionprops_table(labels, image, properties)
folder = Path(tempfile.mkdtemp())
with open(folder / "objects.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
print("".join((folder / "objects.csv").read_text().splitlines(keepends=True)[:5]))

# %% [markdown]
# ## Labels and outlines as files

# %%
tifffile.imwrite(folder / "labels.tif", labels.astype("uint16"), compression="zlib")
Image.fromarray(figures.overlay(image, labels, scale=3)).save(folder / "outlines.png")
sorted(path.name for path in folder.iterdir())
