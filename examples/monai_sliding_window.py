# %% [markdown]
# # The network in MONAI's sliding window
#
# `segment` goes over large images in tiles by itself. In a MONAI pipeline, its `SlidingWindowInferer` can do that
# instead: it takes any function that maps a batch of patches to outputs, and every output needs a channel axis.

# %%
import torch
from monai.inferers import SlidingWindowInferer

import embedseg_ops
from embedseg_ops.data.drawn import cells

model, settings = embedseg_ops.load_model()


def network(patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Map ``[B, C, H, W]`` to an embedding ``[B, D, H, W]`` and a distance map ``[B, 1, H, W]``."""
    embedding, distance = model(patches)
    return embedding, distance[:, None]


# %%
image, truth = cells(seed=5, size=192, count=60)
pixels = torch.from_numpy(image).float()
low, high = torch.quantile(pixels, torch.tensor(settings.percentiles) / 100)

windows = SlidingWindowInferer(roi_size=(128, 128), sw_batch_size=4, overlap=0.5, mode="gaussian")
with torch.inference_mode():
    embedding, distance = windows(((pixels - low) / (high - low))[None, None], network)

# %% [markdown]
# Objects at the windows' edges are whole, because the outputs are put together before the postprocessing.

# %%
labels = embedseg_ops.postprocess(embedding, distance[:, 0], **settings.postprocess)[0].numpy()
alone = embedseg_ops.segment(image, (model, settings))
print(f"{labels.max()} objects, {alone.max()} of segment; {(labels != alone).mean():.2%} of the pixels differ")
