"""Pictures of images, label maps and embeddings, as uint8 RGB arrays ``[H, W, 3]``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import find_objects
from skimage.transform import resize

from embedseg_ops.evaluate.overlaps import overlaps
from embedseg_ops.ops.neighbor_pairs import neighbor_pairs

__all__ = [
    "DIM",
    "FALSE",
    "HEAT",
    "MATCHED",
    "MATCH_COLOURS",
    "MISSED",
    "PALETTE",
    "Picture",
    "colour_labels",
    "distance_heat",
    "drawable",
    "embedding_rgb",
    "matches",
    "middle_plane",
    "overlay",
    "panels",
]

Picture = NDArray[np.uint8]  # [H, W, 3]

# Bright, far apart, and none close to the grey of an image.
PALETTE = np.array(
    [
        [255, 89, 94], [54, 197, 240], [255, 202, 58], [138, 201, 38], [201, 120, 255], [255, 146, 43],
        [46, 230, 190], [255, 119, 188], [107, 140, 255], [214, 255, 92], [240, 172, 140], [120, 220, 130],
    ],
    dtype=np.uint8,
)  # fmt: skip
MATCHED, MISSED, FALSE = (np.array(colour, dtype=np.uint8) for colour in ([64, 220, 96], [255, 59, 70], [255, 165, 30]))
MATCH_COLOURS = "green: matched, red: missed, orange: false"  # the title of what `matches` draws
SMALLEST_TEXT = 8  # pixels
DIM = 0.5  # a gamma that brings out dim objects beside bright ones
# black, violet, red, orange, pale yellow: lightness rises evenly
HEAT = np.array([[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]])


def overlay(
    image: ArrayLike, labels: ArrayLike, *, scale: int = 1, gamma: float = 1.0, numbers: bool = False
) -> Picture:
    """Draw the outline of every object onto an image, neighbours in different colours.

    Args:
        image: grey ``[H, W]`` or RGB ``[H, W, 3]`` of any real dtype; stretched between its 0.5 and 99.5 percentiles.
        labels: integer ``[H, W]``; outlines run inside the objects (ids above 0).
        scale: enlarges the picture by this factor; outlines are then half a pixel of the image wide, or a little more.
        gamma: brightness from 0 to 1 is raised to this power; below 1, what is dim becomes visible.
        numbers: write every object's id into its middle.

    Raises:
        ValueError: `image` is neither grey nor RGB, its height and width are not those of `labels`, or `gamma` is not
            above 0.
    """
    label_map = _labels(labels, "labels")
    picture = _enlarged(_stretched(image, label_map, gamma), scale)
    outline = _outline(label_map, scale)
    picture[outline] = _repeated(_colours(label_map), scale)[outline]
    return _numbered(picture, label_map, scale) if numbers else picture


def colour_labels(labels: ArrayLike) -> Picture:
    """Fill every object of ``[H, W]`` with a colour, neighbours with different ones; the rest is black."""
    return _colours(_labels(labels, "labels"))


def embedding_rgb(embedding: ArrayLike) -> Picture:
    """Show an embedding ``[D, H, W]``: the three main components of its directions as red, green and blue."""
    values = np.nan_to_num(np.asarray(embedding, dtype=np.float64), posinf=0.0, neginf=0.0)
    if values.ndim != 3:
        raise ValueError(f"embedding must be [D, H, W], got shape {list(values.shape)}")
    channels, height, width = values.shape
    vectors = values.reshape(channels, -1).T
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    centred = directions - directions.mean(0) if len(directions) else directions
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :3]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])  # an eigenvector has no sign
    components = np.zeros((height * width, 3))
    components[:, : axes.shape[1]] = (centred @ axes).round(9)  # no pictures of rounding errors
    stretched = [_between_percentiles(component, 1, 99) for component in components.T]
    return np.stack(stretched, -1).reshape(height, width, 3)


def distance_heat(distance: ArrayLike) -> Picture:
    """Show a normalised distance map ``[H, W]``, from 0 (black) over violet and orange to 1 (pale yellow)."""
    values = np.asarray(distance, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"distance must be [H, W], got shape {list(values.shape)}")
    position = np.clip(np.nan_to_num(values), 0, 1) * (len(HEAT) - 1)
    channels = [np.interp(position, np.arange(len(HEAT)), stops) for stops in HEAT.T]
    return np.stack(channels, -1).round().astype(np.uint8)


def matches(
    truth: ArrayLike, prediction: ArrayLike, image: ArrayLike | None = None, threshold: float = 0.5, *, scale: int = 1,
    gamma: float = 1.0,
) -> Picture:  # fmt: skip
    """Show which objects were found: predictions that match outlined in green, others in orange, missed truth in red.

    Args:
        truth, prediction: integer ``[H, W]``. Pairs of the largest IoU match first, one to one, down to `threshold`.
        image: what to draw on, as for :func:`overlay`; without it, the objects are filled faintly, on black.
        threshold: the smallest IoU of a match, above 0.
        scale: as for :func:`overlay`.
        gamma: as for :func:`overlay`.

    Raises:
        ValueError: the shapes differ, or `threshold` or `gamma` is not above 0.
    """
    true, predicted = _labels(truth, "truth"), _labels(prediction, "prediction")
    if true.shape != predicted.shape:
        raise ValueError(f"truth and prediction must have one shape, got {true.shape} and {predicted.shape}")
    found = _matched_ids(true, predicted, threshold)
    layers = [
        (np.where(np.isin(true, list(found)), 0, true), MISSED),
        (np.where(np.isin(predicted, list(found.values())), 0, predicted), FALSE),
        (np.where(np.isin(predicted, list(found.values())), predicted, 0), MATCHED),
    ]
    picture = np.zeros((*true.shape, 3), dtype=np.uint8) if image is None else _stretched(image, true, gamma)
    for layer, colour in layers if image is None else ():
        picture[layer > 0] = colour // 4
    picture = _enlarged(picture, scale)
    for layer, colour in layers:
        picture[_outline(layer, scale)] = colour
    return picture


def middle_plane(volume: ArrayLike) -> NDArray[Any]:
    """Return the middle plane ``[H, W]`` of ``[D, H, W]``; an image is its own."""
    array = np.asarray(volume)
    return array[len(array) // 2] if array.ndim == 3 else array


def drawable(image: ArrayLike) -> NDArray[Any]:
    """Return what to draw on for ``[C, *spatial]``: three channels as RGB ``[H, W, 3]``, else the first ``[H, W]``.

    Of a volume, it is the middle plane.
    """
    channels = [middle_plane(channel) for channel in np.asarray(image)]
    return np.stack(channels, -1) if len(channels) == 3 else channels[0]


def panels(pictures: Sequence[Picture], titles: Sequence[str] | None = None, *, margin: int = 12) -> Picture:
    """Put pictures side by side on white, `margin` pixels around each, with titles above them as large as fits."""
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"titles must be as many as pictures, got {len(titles)} for {len(pictures)}")
    height = max((picture.shape[0] for picture in pictures), default=0)
    text_size = max(12, height // 22) if titles else 0
    top = margin + (text_size * 3 // 2 if titles else 0)
    width = margin + sum(picture.shape[1] + margin for picture in pictures)
    sheet = Image.new("RGB", (width, top + height + margin), "white")
    left = margin
    font = _fitting_font(titles or [], pictures, text_size)
    for i, picture in enumerate(pictures):
        sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (left, top))
        if titles:
            middle = left + picture.shape[1] // 2, top - margin // 2 - text_size // 4  # on the baseline
            ImageDraw.Draw(sheet).text(middle, titles[i], "black", font, anchor="ms")
        left += picture.shape[1] + margin
    return np.array(sheet)


def _fitting_font(titles: Sequence[str], pictures: Sequence[Picture], largest: int) -> Any:
    """Return the font of the largest size at which no title is wider than its picture."""
    for size in range(largest, SMALLEST_TEXT, -1):
        font: Any = ImageFont.load_default(size)
        if all(font.getlength(title) <= one.shape[1] for title, one in zip(titles, pictures, strict=False)):
            return font
    return ImageFont.load_default(SMALLEST_TEXT)


def _numbered(picture: Picture, labels: np.ndarray, scale: int) -> Picture:
    """Write the id of every object onto the pixel of it that is nearest to its middle."""
    sheet = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(max(9, 5 * scale))
    ids, dense = np.unique(labels, return_inverse=True)
    for number, box in zip(ids, find_objects(dense.reshape(labels.shape) + 1), strict=True):
        if number > 0:
            inside = np.argwhere(labels[box] == number)
            middle = inside[((inside - inside.mean(0)) ** 2).sum(1).argmin()]
            y, x = (middle + [box[0].start, box[1].start] + 0.5) * scale
            draw.text((x, y), str(number), "white", font, anchor="mm", stroke_width=1, stroke_fill="black")
    return np.array(sheet)


def _labels(labels: ArrayLike, name: str) -> NDArray[np.integer]:
    array = np.asarray(labels)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be [H, W] of integers, got {array.dtype} of shape {list(array.shape)}")
    return np.maximum(array.astype(np.int64), 0)


def _between_percentiles(values: NDArray[Any], low: float, high: float) -> Picture:
    """Map the range between two percentiles to 0..255; constant values are 0 if 0, else grey."""
    values = np.nan_to_num(np.asarray(values, dtype=np.float64), posinf=0.0, neginf=0.0)
    if values.size == 0:
        return values.astype(np.uint8)
    lowest, highest = np.percentile(values, [low, high])
    if highest <= lowest:
        lowest, highest = values.min(), values.max()
    if highest <= lowest:
        return np.full(values.shape, 128 if highest else 0, dtype=np.uint8)
    levels = (values - lowest) / (highest - lowest) * 255
    return np.asarray(np.clip(levels, 0, 255).round(), dtype=np.uint8)


def _stretched(image: ArrayLike, labels: NDArray[Any], gamma: float) -> Picture:
    array = np.asarray(image)
    if array.shape not in (labels.shape, (*labels.shape, 3)):
        height, width = labels.shape
        raise ValueError(f"image must be [{height}, {width}] or [{height}, {width}, 3], got shape {list(array.shape)}")
    if not 0 < gamma < float("inf"):
        raise ValueError(f"gamma must be above 0, got {gamma}")
    brightness = ((np.arange(256) / 255) ** gamma * 255).round().astype(np.uint8)
    stretched = brightness[_between_percentiles(array, 0.5, 99.5)]
    return stretched if array.ndim == 3 else np.stack([stretched] * 3, -1)


def _repeated(array: NDArray[Any], scale: int) -> NDArray[Any]:
    return array.repeat(scale, 0).repeat(scale, 1)


def _enlarged(picture: Picture, scale: int) -> Picture:
    if scale == 1 or picture.size == 0:
        return _repeated(picture, scale)
    shape = (picture.shape[0] * scale, picture.shape[1] * scale, 3)
    enlarged = resize(picture, shape, order=1, mode="edge", preserve_range=True)
    return np.asarray(enlarged.round(), dtype=np.uint8)


def _outline(labels: NDArray[Any], scale: int) -> NDArray[np.bool_]:
    """Tell which pixels of the enlarged objects are near another label; the image's border is none."""
    labels, width = _repeated(labels, scale), (scale + 1) // 2
    outline = np.zeros(labels.shape, dtype=bool)
    if labels.size == 0:
        return outline
    padded = np.pad(labels, width, mode="edge")
    height, length = labels.shape
    for dy in range(-width, width + 1):
        for dx in range(-width, width + 1):
            if dy**2 + dx**2 <= width**2:
                top, left = width + dy, width + dx
                outline |= padded[top : top + height, left : left + length] != labels
    return outline & (labels > 0)


def _colours(labels: NDArray[Any]) -> Picture:
    """Give objects closer than 12 pixels different colours, as far as the palette goes."""
    ids, dense = np.unique(labels, return_inverse=True)
    dense = dense.reshape(labels.shape) + (1 if ids.size and ids[0] > 0 else 0)
    count = int(dense.max(initial=0))
    pairs = neighbor_pairs(dense, 12.0, background=False)
    starts = np.searchsorted(pairs[:, 1], np.arange(count + 2))
    choice = np.full(count + 1, -1)
    used = np.zeros(len(PALETTE), dtype=np.int64)
    for k in range(1, count + 1):
        around = choice[pairs[starts[k] : starts[k + 1], 2]]
        conflicts = np.bincount(around[around >= 0], minlength=len(PALETTE))
        # ids go from top to bottom in most label maps: starting at k spreads the palette over the image
        choice[k] = min(range(len(PALETTE)), key=lambda c: (conflicts[c], used[c], (c - k) % len(PALETTE)))
        used[choice[k]] += 1
    colours = np.zeros((count + 1, 3), dtype=np.uint8)
    colours[1:] = PALETTE[choice[1:]]
    return colours[dense]


def _matched_ids(truth: NDArray[Any], prediction: NDArray[Any], threshold: float) -> dict[int, int]:
    """Map the ids of matched true objects to the predicted ones'."""
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold}")
    [table] = overlaps(truth, prediction)
    true_ids, predicted_ids = (np.unique(labels[labels > 0]) for labels in (truth, prediction))
    found: dict[int, int] = {}
    taken = set()
    iou = table.iou
    for pair in np.lexsort((table.predicted, table.true, -iou)):
        k, n = int(true_ids[table.true[pair]]), int(predicted_ids[table.predicted[pair]])
        if iou[pair] >= threshold and k not in found and n not in taken:
            found[k] = n
            taken.add(n)
    return found
