"""Mask R-CNN on the library's U-Net, from scratch. Needs torchvision, an optional extra."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection import MaskRCNN as Detector
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign, masks_to_boxes, nms

from benchmarks.paper.methods import Loss, Method
from embedseg_ops.model.networks import UNet

ANCHORS = {2: (8, 12), 4: (18, 28), 8: (42, 64)}  # sides in pixels, by stride; nuclei measure 8 to 70
OBJECTS = 400  # an image's most confident ones
CLASSES = 2  # background and object


class Pyramid(nn.Module):
    """The U-Net's feature map at every stride."""

    def __init__(self, unet: UNet):
        super().__init__()
        self.unet, self.out_channels = unet, unet.out_channels

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features = self.unet(image)
        return {str(stride): F.avg_pool2d(features, stride) for stride in ANCHORS}


class MaskRCNN(Method):
    """Where objects overlap, the one of the highest score has the pixel."""

    score_thresh, nms_thresh = 0.5, 0.5
    mask_thresh = 0.5
    choices: ClassVar = {"score_thresh": (0.5, 0.7, 0.8, 0.9, 0.95), "nms_thresh": (0.1, 0.2, 0.3, 0.5)}

    def build(self, filters: int, channels: int = 1) -> nn.Module:
        unet = UNet(channels, filters, batch_norm=True)
        maps = [str(stride) for stride in ANCHORS]
        network = Detector(
            Pyramid(unet),
            rpn_anchor_generator=AnchorGenerator(tuple(ANCHORS.values()), ((0.5, 1.0, 2.0),) * len(ANCHORS)),
            box_roi_pool=MultiScaleRoIAlign(maps, output_size=7, sampling_ratio=2),
            box_head=TwoMLPHead(filters * 7**2, 256),
            box_predictor=FastRCNNPredictor(256, CLASSES),
            mask_roi_pool=MultiScaleRoIAlign(maps, output_size=14, sampling_ratio=2),
            mask_head=MaskRCNNHeads(filters, (64,) * 4, dilation=1),
            mask_predictor=MaskRCNNPredictor(64, 64, CLASSES),
            box_batch_size_per_image=256,
            box_detections_per_img=OBJECTS,
            image_mean=[0.0] * channels,  # the samples are normalised
            image_std=[1.0] * channels,
            size_divisible=unet.divisor,
            _skip_resize=True,
        )
        network.divisor = unet.divisor  # training asks how small the lowest level gets
        return network

    def step(self, network: nn.Module, image: Tensor, labels: Tensor, inside: Tensor) -> Loss:
        """Beyond an image's border its mirrored objects count as well: the detector knows no mask of pixels."""
        losses = network(list(image), [target(one) for one in labels])
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        classes = (losses["loss_objectness"] + losses["loss_classifier"]).float()
        return Loss(total, classes, total - classes)

    def apply(self, network: nn.Module, image: Tensor) -> dict[str, Tensor]:
        """All detections that any of the choices could keep."""
        network.roi_heads.score_thresh = min(self.choices["score_thresh"])
        network.roi_heads.nms_thresh = max(self.choices["nms_thresh"])
        [found] = network([image])
        return {**found, "masks": found["masks"][:, 0] > self.mask_thresh}

    def segment(self, output: dict[str, Tensor]) -> np.ndarray:
        boxes, scores = output["boxes"], output["scores"]
        sure = (scores >= self.score_thresh).nonzero()[:, 0]
        kept = sure[nms(boxes[sure], scores[sure], self.nms_thresh)]
        labels = np.zeros(output["masks"].shape[1:], np.int32)
        for k in kept[scores[kept].argsort()].tolist():
            left, top, right, bottom = boxes[k].int().tolist()  # a mask may reach a pixel beyond its box
            around = slice(max(top - 1, 0), bottom + 2), slice(max(left - 1, 0), right + 2)
            labels[around][output["masks"][k][around].numpy()] = k + 1
        return labels


def target(labels: Tensor) -> dict[str, Tensor]:
    """What torchvision wants to know of an image's labels [H, W]."""
    masks = labels == labels[labels > 0].unique()[:, None, None]
    boxes = masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1])  # from the first pixel to beyond the last
    return {"masks": masks.to(torch.uint8), "boxes": boxes, "labels": torch.ones(len(masks), dtype=torch.int64)}
