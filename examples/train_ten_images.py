# %% [markdown]
# # Train on ten images
#
# Ten images with label maps are enough to begin. They lie in a folder: `DATA/train/images` and `DATA/train/labels`,
# with the same names. Here we draw them.

# %%
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

import embedseg_ops
from embedseg_ops import figures
from embedseg_ops.command.main import main
from embedseg_ops.data.drawn import cells

folder = Path(tempfile.mkdtemp())
for name in ("images", "labels"):
    (folder / "data" / "train" / name).mkdir(parents=True)
for seed in range(10):
    image, labels = cells(seed)
    Image.fromarray(image).save(folder / f"data/train/images/{seed}.png")
    tifffile.imwrite(folder / f"data/train/labels/{seed}.tif", labels)

# %% [markdown]
# One command trains. This is the same as `embedseg-ops train DATA --out RUN …` in a terminal. The network is small and
# the steps are few, so that the example takes seconds. On real images, leave these options out, or start from the
# model `nuclei` with `--init nuclei`.

# %%
small = "--dim 8 --filters 8 --crop 96 --batch 4 --steps 100 --learning-rate 5e-3"
arguments = ["train", str(folder / "data"), "--out", str(folder / "run")]
main([*arguments, *small.split()])
sorted(path.name for path in (folder / "run").glob("*.safetensors"))

# %% [markdown]
# An image that the network has not seen:

# %%
image, truth = cells(seed=99)
labels = embedseg_ops.segment(image, folder / "run" / "last.safetensors")
precision = embedseg_ops.metrics.average_precision(truth, labels)
print(f"{labels.max()} objects of {truth.max()}, AP at IoU 0.5: {precision.values[0]:.2f}")

# %%
pictures = {
    "image": figures.overlay(image, np.zeros_like(truth), scale=3),
    "labels": figures.overlay(image, labels, scale=3),
    figures.MATCH_COLOURS: figures.matches(truth, labels, image, scale=3),
}
Image.fromarray(figures.panels(list(pictures.values()), list(pictures)))
