"""EmbedSeg (Lalit et al. 2021, after Neven et al. 2019), as a competent PyTorch user writes it."""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F


def loss(prediction: Tensor, labels: Tensor) -> Tensor:
    """Take [5, H, W]: where each pixel points, the logarithms of two widths, and how good a seed it is.

    Object by object, over the whole image: those who point near its centre should be its pixels.
    """
    height, width = labels.shape
    grid = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")) / max(height, width)
    targets, widths, seediness = prediction[:2].tanh() + grid, prediction[2:4], prediction[4].sigmoid()
    overlaps, smoothness, seeds = [], [], [seediness[labels == 0].square().sum()]
    for k in labels.unique()[labels.unique() > 0]:
        inside = labels == k
        centre = grid[:, inside].mean(1)
        own = widths[:, inside]
        mean = own.mean(1)
        smoothness.append((own - mean[:, None].detach()).square().mean())
        away = ((targets - centre[:, None, None]).square() * (10 * mean).exp()[:, None, None]).sum(0)
        closeness = torch.exp(-away)
        overlaps.append(lovasz_hinge(2 * closeness.flatten() - 1, inside.flatten()))
        seeds.append((seediness[inside] - closeness[inside].detach()).square().sum())
    overlap, smooth = (torch.stack(terms).mean() for terms in (overlaps, smoothness))
    return overlap + 10 * smooth + torch.stack(seeds).sum() / labels.numel()


def lovasz_hinge(logits: Tensor, inside: Tensor) -> Tensor:
    """Berman et al. 2018: the worst pixels first, each weighted by what it costs in IoU."""
    signs = 2.0 * inside - 1
    errors, order = (1 - logits * signs).sort(descending=True)
    truth = inside[order].to(logits.dtype)
    union = truth.sum() + (1 - truth).cumsum(0)
    jaccard = 1 - (truth.sum() - truth.cumsum(0)) / union
    return F.relu(errors) @ torch.diff(jaccard, prepend=jaccard.new_zeros(1))


class Clustering:
    """The sequential clustering of ideal outputs: every pixel points at its object's centre."""

    def __init__(self, labels: np.ndarray, depth: np.ndarray) -> None:
        objects = np.arange(1, labels.max() + 1)
        centres = np.array(ndimage.center_of_mass(labels > 0, labels, objects)).reshape(-1, labels.ndim)
        areas = np.bincount(labels.ravel(), minlength=len(objects) + 1)[1:]
        self.inside = labels > 0
        owner = labels[self.inside] - 1
        self.targets = torch.from_numpy(centres[owner].T.astype(np.float32))  # [2, pixels inside]
        # ½ at half the radius of a disk of this area
        widths = np.log(2) * 4 * np.pi / areas
        self.widths = torch.from_numpy(widths[owner].astype(np.float32))
        self.seediness = torch.from_numpy(0.9 + 0.1 * depth[self.inside])

    def __call__(self, least: int = 1) -> np.ndarray:
        """Take the best seed that is left, and all that points near to where it points, until none is good enough."""
        left = self.seediness.clone()
        owner = torch.zeros(len(left), dtype=torch.int32)
        count = 0
        while (best := int(left.argmax())) >= 0 and left[best] >= 0.9:
            away = (self.targets - self.targets[:, best : best + 1]).square().sum(0)
            members = torch.exp(-away * self.widths[best]) > 0.5
            if members.sum() > least and (left[members] > 0).float().mean() > 0.5:
                count += 1
                owner[members] = count
            left[members] = 0
        labels = np.zeros(self.inside.shape, np.int32)
        labels[self.inside] = owner.numpy()
        return labels
