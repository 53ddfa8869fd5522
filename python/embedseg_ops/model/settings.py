"""What a model is and how to use it: the settings that its file keeps."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from embedseg_ops.data.scale import relative
from embedseg_ops.model.networks import EmbeddingModel, build_model
from embedseg_ops.ops.numbers import check_percentiles, check_spacing
from embedseg_ops.ops.options import TUNED, PostprocessOptions, current_names
from embedseg_ops.ops.ranges import ABOVE_0, check_fields, one_of

ARCHITECTURE = ("dim", "filters", "head_filters", "spatial_dims", "distance_features", "batch_norm", "foreground",
                "residual")  # fmt: skip
CARD = ("calibration", "about", "provenance", "licence", "training", "scores")  # what says, and changes nothing
OLD_SETTINGS = {"batch_norm": False, "foreground": False}  # what files and runs mean that are older than these settings


@dataclass(frozen=True)
class Settings:
    """What a model is and how to use it; stored in the model's file.

    Args:
        channels: channels of the image.
        dim: dimension of the embedding.
        filters: filters of the U-Net at full resolution.
        head_filters: filters of the branches; None: `filters`.
        spatial_dims: 2 or 3.
        distance_features: whether the embedding branch sees the distance branch's features.
        batch_norm: whether the convolutions are normalised (not in the paper).
        foreground: whether the distance map is 0 where a classification says background (not in the paper).
        residual: number of residual blocks at each level of the U-Net below full resolution.
        diameter: median diameter of the objects, in pixels, that the network expects: images with smaller ones are
            enlarged, up to 2.5 times, in training and in prediction; those with objects more than 2.5 times as large
            are shrunk to it, in prediction alone; None: every image stays as it is.
        spacing: length of a pixel along each axis, in any unit, kept as multiples of the shortest: training measures
            distances, crops and augments so that an object looks alike from every side, and turns only between axes
            of equal pixels; None: 1 everywhere. Lengths in pixels mean those of the finest axis then.
        percentiles: what becomes 0 and 1 in a normalised image, in percent of each channel's values.
        postprocess: keyword arguments of `embedseg_ops.postprocess`, where they differ from its defaults, which are
            the paper's: ``{}`` is the paper's postprocessing.
        calibration: coefficients of the objects' scores, as `embedseg_ops.predict.scores.calibrated` takes them, fitted
            on validation images; ``{}``: none, so that objects get no scores.
        about: what the model is for, in a few words.
        provenance: data and training of the weights, in words.
        licence: of the weights, such as CC0-1.0.
        training: the options of the training run.
        scores: what was measured on which data.
    """

    channels: int = 1
    dim: int = 16
    filters: int = 32
    head_filters: int | None = None
    spatial_dims: int = field(default=2, metadata=one_of(2, 3))
    distance_features: bool = False
    batch_norm: bool = True
    foreground: bool = True
    residual: int = 0
    diameter: float | None = field(default=None, metadata=ABOVE_0)
    spacing: tuple[float, ...] | None = None
    percentiles: tuple[float, float] = (1.0, 99.8)
    postprocess: PostprocessOptions = field(default_factory=TUNED.copy)
    calibration: dict[str, float] = field(default_factory=dict)
    about: str = ""
    provenance: str = ""
    licence: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bring the spacing to its form; raise a TypeError or ValueError that names what is not what it may be."""
        check_fields(self)
        check_percentiles(self.percentiles)
        if self.spacing is not None:
            object.__setattr__(self, "spacing", relative(check_spacing(self.spacing, self.spatial_dims)))

    def build(self) -> EmbeddingModel:
        """Return the network that these settings describe, randomly initialised."""
        return build_model(**self.architecture())

    def architecture(self) -> dict[str, Any]:
        """Return the arguments of `build_model`."""
        return {name: getattr(self, name) for name in ("channels", *ARCHITECTURE)}

    def to_json(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Return the settings that `to_json` wrote; raise a ValueError naming fields unknown to this version."""
        fields = {**OLD_SETTINGS, **json.loads(text)}
        unknown = sorted(set(fields) - {known.name for known in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"unknown settings {', '.join(unknown)}: written by a newer embedseg-ops?")
        fields["percentiles"] = tuple(fields["percentiles"])
        fields["postprocess"] = current_names(fields["postprocess"])
        return cls(**fields)
