# %% [markdown]
# # Measure and export
#
# Labels are plain integer arrays, so any tool takes them. `embedseg_ops.export` measures each object and writes what
# other programs read.

# %%
import tempfile
from pathlib import Path

from PIL import Image

import embedseg_ops
from embedseg_ops import export, figures
from embedseg_ops.data.drawn import cells

image, truth = cells(seed=3, size=192, count=60)
labels = embedseg_ops.segment(image)  # with nuclei, the model for fluorescent nuclei

# %% [markdown]
# ## How good is it?
#
# Where true labels are known, one call gives every measure.

# %%
scores = embedseg_ops.metrics.evaluate(truth, labels)
print(f"mean AP {scores.average_precision.mean:.2f}")
print(f"predicted minus true number of objects: {scores.difference_in_count:.0f}")

# %%
Image.fromarray(figures.matches(truth, labels, image, scale=3))

# %% [markdown]
# ## A table of objects
#
# One row for each object. With the size of a pixel, areas and lengths are given in µm, too.

# %%
folder = Path(tempfile.mkdtemp())
table = export.object_table(labels, image, pixel_size=(0.5, 0.5))
export.write_table(folder / "objects.csv", table)
for name in ("id", "centroid_y", "centroid_x", "area", "area_µm²", "mean_0"):
    print(f"{name:>10}", *(f"{value:8.1f}" for value in table[name][:5]))

# %% [markdown]
# ## Labels and outlines as files
#
# TIFF for napari and Fiji, GeoJSON for QuPath, and a picture to look at.

# %%
export.write_labels(folder / "labels.tif", labels, pixel_size=(0.5, 0.5))
export.write_geojson(folder / "outlines.geojson", labels)
export.write_overlay(folder / "overlay.png", image[None], labels)
sorted(path.name for path in folder.iterdir())
