import numpy as np
import pytest
import torch
from samples import cells

from embedseg_ops import neighbor_pairs
from embedseg_ops.evaluate import figures
from embedseg_ops.evaluate.figures import FALSE, MATCHED, MISSED

LABELS = cells((60, 80), 30, gap=0.3).numpy()
GREY = np.random.default_rng(0).normal(size=LABELS.shape)
BLACK = [0, 0, 0]


def is_picture(picture, height, width):
    return isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and picture.shape == (height, width, 3)


def inside_outline(labels):
    """Pixels of objects that share a face with another label."""
    edge = np.pad(labels, 1, mode="edge")
    faces = [edge[:-2, 1:-1], edge[2:, 1:-1], edge[1:-1, :-2], edge[1:-1, 2:]]
    return (labels > 0) & np.any([face != labels for face in faces], axis=0)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int32, np.float16, np.float64])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_overlay_accepts_any_image(dtype, channels):
    image = (np.random.default_rng(0).random((*LABELS.shape, *channels)) * 200).astype(dtype)
    picture = figures.overlay(image, LABELS)
    assert is_picture(picture, 60, 80)
    np.testing.assert_array_equal(picture, figures.overlay(image, LABELS))
    np.testing.assert_array_equal(picture, figures.overlay(torch.from_numpy(image), torch.from_numpy(LABELS)))


def test_overlay_colours_outlines_and_nothing_else():
    picture = figures.overlay(GREY, LABELS)
    outline = inside_outline(LABELS)
    np.testing.assert_array_equal(picture[outline], figures.colour_labels(LABELS)[outline])
    plain = figures.overlay(GREY, np.zeros_like(LABELS))
    np.testing.assert_array_equal(picture[~outline], plain[~outline])
    assert (plain == plain[..., :1]).all()
    assert plain.min() == 0
    assert plain.max() == 255


def test_overlay_does_not_stumble_over_nan_and_constant_images():
    image = GREY.copy()
    image[3, 4], image[5, 6] = np.nan, np.inf
    assert is_picture(figures.overlay(image, LABELS), 60, 80)
    assert is_picture(figures.overlay(np.full(LABELS.shape, 7), LABELS), 60, 80)


def test_scale_enlarges_and_keeps_the_colours():
    picture = figures.overlay(GREY, LABELS, scale=3)
    assert is_picture(picture, 180, 240)
    small = {tuple(colour) for colour in figures.overlay(GREY, LABELS)[inside_outline(LABELS)]}
    assert small <= {tuple(colour) for colour in picture.reshape(-1, 3)}


def test_neighbors_have_different_colours_and_objects_one():
    picture = figures.colour_labels(LABELS)
    assert is_picture(picture, 60, 80)
    assert (picture[LABELS == 0] == 0).all()
    colours = {k: np.unique(picture[k == LABELS], axis=0) for k in np.unique(LABELS) if k > 0}
    assert all(len(colour) == 1 and colour.max() > 100 for colour in colours.values())
    for _, k, n in neighbor_pairs(LABELS, 3.0, background=False):
        assert colours[k].tolist() != colours[n].tolist()


def test_ids_with_gaps_ignored_pixels_and_empty_maps():
    labels = np.array([[-1, 0, 1_000_000_000], [5, 5, 1_000_000_000]])
    picture = figures.colour_labels(labels)
    assert (picture[0, :2] == 0).all()
    assert picture[1, 0].tolist() == picture[1, 1].tolist() != picture[0, 2].tolist()
    assert is_picture(figures.colour_labels(np.zeros((0, 4), dtype=int)), 0, 4)
    assert is_picture(figures.overlay(np.zeros((0, 4)), np.zeros((0, 4), dtype=int), scale=2), 0, 8)
    assert is_picture(figures.colour_labels(np.ones((3, 3), dtype=np.uint64)), 3, 3)


@pytest.mark.parametrize("channels", [1, 2, 3, 16])
def test_embedding_rgb_shows_directions(channels):
    means = np.random.default_rng(1).normal(size=(31, channels))
    embedding = np.moveaxis(means[LABELS], -1, 0)
    picture = figures.embedding_rgb(embedding)
    assert is_picture(picture, 60, 80)
    lengths = np.random.default_rng(2).uniform(0.1, 9, LABELS.shape)
    np.testing.assert_allclose(figures.embedding_rgb(embedding * lengths).astype(int), picture.astype(int), atol=1)
    assert all(len(np.unique(picture[k == LABELS], axis=0)) == 1 for k in range(1, 31))
    if channels > 2:
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20


def test_embedding_rgb_of_nothing_and_of_nan():
    assert is_picture(figures.embedding_rgb(np.zeros((4, 5, 6))), 5, 6)
    assert is_picture(figures.embedding_rgb(np.full((4, 5, 6), np.nan)), 5, 6)
    assert is_picture(figures.embedding_rgb(np.zeros((4, 0, 6))), 0, 6)
    assert len(np.unique(figures.embedding_rgb(np.full((4, 50, 60), 0.3)).reshape(-1, 3), axis=0)) == 1


def test_distance_heat_gets_brighter():
    picture = figures.distance_heat(np.linspace(-0.5, 1.5, 101)[None])
    assert is_picture(picture, 1, 101)
    brightness = picture.astype(int).sum(-1)[0]
    assert (np.diff(brightness) >= -2).all()
    assert brightness[0] < 10
    assert picture[0, -1].tolist() == [252, 255, 164]
    assert is_picture(figures.distance_heat([[np.nan]]), 1, 1)


def test_matches_outlines_found_missed_and_false_objects():
    truth, prediction = np.zeros((20, 40), dtype=int), np.zeros((20, 40), dtype=int)
    truth[2:8, 2:8], prediction[2:8, 3:8] = 4, 9  # found
    truth[12:18, 2:8] = 5  # missed
    prediction[12:18, 20:26] = 2  # false
    truth[2:12, 28:38], prediction[2:7, 28:35] = 6, 3  # IoU 0.35
    picture = figures.matches(truth, prediction)
    assert is_picture(picture, 20, 40)
    assert (picture[2, 3] == MATCHED).all()
    assert (picture[12, 2] == MISSED).all()
    assert (picture[12, 20] == FALSE).all()
    assert (picture[11, 37] == MISSED).all()
    assert (picture[6, 34] == FALSE).all()
    assert picture[19, 39].tolist() == BLACK
    assert (figures.matches(truth, prediction, threshold=0.3)[2, 28] == MATCHED).all()
    drawn = figures.matches(truth, prediction, np.ones((20, 40)), scale=2)
    assert is_picture(drawn, 40, 80)
    assert (drawn[24, 4] == MISSED).all()


def test_matches_are_one_to_one():
    truth, prediction = np.full((4, 12), 1), np.full((4, 12), 2)
    prediction[:, 7:] = 3
    assert figures._matched_ids(truth, prediction, 0.1) == {1: 2}


def test_panels_are_tiled_with_margins():
    pictures = [np.full((10, 20, 3), 50, dtype=np.uint8), np.full((16, 8, 3), 90, dtype=np.uint8)]
    sheet = figures.panels(pictures, margin=4)
    assert is_picture(sheet, 24, 40)
    assert (sheet[4:14, 4:24] == 50).all()
    assert (sheet[4:20, 28:36] == 90).all()
    assert sheet.sum() == 255 * sheet.size - 10 * 20 * 3 * 205 - 16 * 8 * 3 * 165
    titled = figures.panels(pictures, ["one", "two"], margin=4)
    assert titled.shape[0] > 24
    assert (titled[:18] < 128).any()
    assert is_picture(figures.panels([], margin=4), 8, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.overlay(GREY[1:], LABELS), r"image must be \[60, 80\]"),
        (lambda: figures.overlay(GREY, LABELS[None]), r"labels must be \[H, W\] of integers"),
        (lambda: figures.colour_labels(GREY), r"labels must be \[H, W\] of integers, got float64"),
        (lambda: figures.embedding_rgb(GREY), r"embedding must be \[D, H, W\]"),
        (lambda: figures.distance_heat(GREY[None]), r"distance must be \[H, W\]"),
        (lambda: figures.matches(LABELS, LABELS[1:]), "truth and prediction must have one shape"),
        (lambda: figures.matches(LABELS, LABELS, threshold=0), "threshold must be above 0"),
        (lambda: figures.overlay(GREY, LABELS, gamma=0), "gamma must be above 0"),
        (lambda: figures.matches(LABELS, LABELS, GREY, gamma=-1), "gamma must be above 0"),
        (lambda: figures.panels([], ["title"]), "titles must be as many as pictures"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_titles_stand_on_one_line_and_above_their_own_pictures():
    white = np.full((200, 100, 3), 255, np.uint8)
    dark = [(figures.panels([white], [title]) < 128).any((1, 2)) for title in ("ours", "axes", "Half")]
    assert len({np.flatnonzero(rows)[-1] for rows in dark}) == 1  # their last rows
    sheet = figures.panels([white, white], ["a title that is much too long", "b"])
    assert (sheet[:, 112:124] == 255).all()  # between the two
