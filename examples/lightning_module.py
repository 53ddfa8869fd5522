# %% [markdown]
# # Train in PyTorch Lightning
#
# The losses are functions of tensors, so a training loop of your own needs a few lines.

# %%
import lightning
import numpy as np
import torch
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

import embedseg_ops
from embedseg_ops.data.drawn import cells
from embedseg_ops.models import build_model


class Segmentation(lightning.LightningModule):
    """The paper's network, small; the distance map counts as in the authors' code, whose map goes up to 10."""

    def __init__(self) -> None:
        super().__init__()
        self.network = build_model(dim=8, filters=8, batch_norm=True)

    def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
        image, labels = batch
        embedding, distance = self.network(image)
        loss = embedseg_ops.embedding_loss(embedding, labels, distance=10.0, weights=None).total
        return 5 * loss + 100 * mse_loss(distance, embedseg_ops.distance_map(labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 5e-3)


# %%
lightning.seed_everything(0)
images, labels = zip(*(cells(seed, size=96, count=20) for seed in range(16)), strict=True)
data = TensorDataset(torch.tensor(np.stack(images))[:, None] / 255, torch.tensor(np.stack(labels)))
model = Segmentation()
trainer = lightning.Trainer(
    max_epochs=25, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False,
)  # fmt: skip
trainer.fit(model, DataLoader(data, batch_size=4, shuffle=True))

# %%
image, truth = cells(seed=99, size=96, count=20)
with torch.inference_mode():
    embedding, distance = model.network.eval()(torch.tensor(image)[None, None] / 255)
found = embedseg_ops.postprocess(embedding, distance, **embedseg_ops.options.TUNED)[0].numpy()
precision = embedseg_ops.metrics.average_precision(truth, found)
print(f"{found.max()} objects of {truth.max()}, AP at IoU 0.5: {precision.values[0]:.2f}")
