"""Folders: every layout, and errors that name the file."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from embedseg_ops.data.errors import DataError, DataWarning
from embedseg_ops.data.folders import find_sources
from embedseg_ops.data.images import read_image
from embedseg_ops.data.labels import read_source_labels
from embedseg_ops.data.samples import load_folder

RANDOM = np.random.default_rng(0)


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(array).save(path)
    else:
        tifffile.imwrite(path, array, photometric="minisblack")
    return path


@pytest.mark.parametrize("labels", ["labels/a.tif", "masks/a.png", "masks/a_mask.png"])
def test_images_are_paired_with_labels(tmp_path, labels):
    image = write(tmp_path / "images" / "a.png", np.zeros((4, 5), np.uint8))
    label = write(tmp_path / labels, np.full((4, 5), 7, np.uint8))
    (source,) = find_sources(tmp_path)
    assert (source.image, source.labels) == (image, (label,))
    np.testing.assert_array_equal(read_source_labels(source, (4, 5)), np.ones((4, 5), np.int32))


def test_kaggle_masks_become_one_label_map(tmp_path):
    write(tmp_path / "x" / "images" / "x.png", np.zeros((2, 3), np.uint8))
    write(tmp_path / "x" / "masks" / "1.png", np.array([[255, 255, 0], [0, 0, 0]], np.uint8))
    write(tmp_path / "x" / "masks" / "2.png", np.array([[0, 0, 0], [0, 0, 255]], np.uint8))
    (source,) = find_sources(tmp_path)
    np.testing.assert_array_equal(read_source_labels(source, (2, 3)), [[1, 1, 0], [0, 0, 2]])


def test_bbbc006_gives_the_nuclei(tmp_path):
    images, labels = tmp_path / "BBBC006_v1_images_z_16", tmp_path / "BBBC006_v1_labels"
    for field in ("a01_s1", "p24_s2"):
        for channel in (1, 2):
            write(images / f"mcf-z-stacks-03212011_{field}_w{channel}1a-2b.tif", np.full((4, 5), channel, np.uint16))
        write(labels / f"mcf-z-stacks-03212011_{field}.png", np.full((4, 5), 3, np.uint8))
    sources = find_sources(tmp_path)
    assert len(sources) == 2
    assert (read_image(sources[1].image) == 1).all()
    assert (read_source_labels(sources[1], (4, 5)) == 1).all()
    (labels / "mcf-z-stacks-03212011_p24_s2.png").unlink()
    with pytest.raises(DataError, match=r"p24_s2\.png: no such file"):
        read_source_labels(sources[1], (4, 5))


def test_cvppp_2017_gives_leaves(tmp_path):
    write(tmp_path / "plant001_rgb.png", RANDOM.integers(0, 255, (4, 5, 3), np.uint8))
    write(tmp_path / "plant001_fg.png", np.ones((4, 5), np.uint8))
    write(tmp_path / "plant001_label.png", np.full((4, 5), 2, np.uint8))
    (source,) = find_sources(tmp_path)
    assert read_image(source.image).shape == (3, 4, 5)
    assert (read_source_labels(source, (4, 5)) == 1).all()


def test_folders_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(DataError, match="nothing: no such folder"):
        find_sources(tmp_path / "nothing")
    with pytest.raises(DataError, match="expected images/ beside labels/"):
        find_sources(tmp_path)
    image = write(tmp_path / "images" / "a.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(DataError, match="has images/, but neither labels/ nor masks/"):
        find_sources(tmp_path)
    write(tmp_path / "labels" / "b.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"a\.png: no labels of this name in .*labels"):
        find_sources(tmp_path)
    label = write(tmp_path / "labels" / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"b\.png: no image of this name in .*images"):
        find_sources(tmp_path)
    (tmp_path / "labels" / "b.png").unlink()
    (source,) = find_sources(tmp_path)
    assert (source.image, source.labels) == (image, (label,))
    with pytest.raises(DataError, match=r"a.png: size \(4, 4\), but its image .*a.png has size \(4, 5\)"):
        read_source_labels(source, (4, 5))


def touch(*paths):
    for path in paths:
        write(path, np.zeros((4, 5), np.uint8))


@pytest.mark.parametrize(
    "ending", ["_masks.png", "_mask.tif", "_label.png", "_labels.png", "_seg.png", "_cp_masks.png"]
)
@pytest.mark.parametrize("folder", [".", "images"])
def test_labels_lie_beside_their_images(tmp_path, ending, folder):
    image, label = tmp_path / folder / "a[1].png", tmp_path / folder / f"a[1]{ending}"
    touch(image, label, tmp_path / folder / "._a[1].png", tmp_path / folder / ".hidden.png")
    (source,) = find_sources(tmp_path)
    assert (source.image, source.labels) == (image, (label,))


def test_an_image_may_be_called_like_labels(tmp_path):
    touch(*(tmp_path / folder / name for folder in ("images", "labels") for name in ("x.png", "x_label.png")))
    assert [(one.image.name, one.labels[0].name) for one in find_sources(tmp_path)] == [
        ("x.png", "x.png"),
        ("x_label.png", "x_label.png"),
    ]


def test_two_files_of_one_name_are_both_named(tmp_path):
    touch(tmp_path / "images" / "a.png", tmp_path / "labels" / "a.png", tmp_path / "labels" / "a_mask.png")
    with pytest.raises(DataError, match=r"a\.png: has two files of labels, .*a\.png and .*a_mask\.png"):
        find_sources(tmp_path)
    touch(tmp_path / "images" / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: has the name of .*a\.png"):
        find_sources(tmp_path)


def test_load_folder_warns_once(tmp_path):
    for name in "abc":
        touch(tmp_path / "images" / f"{name}.png")
        write(tmp_path / "labels" / f"{name}.png", np.eye(9, dtype=np.uint8)[::3, ::2] * 255)
        write(tmp_path / "images" / f"{name}.png", np.zeros((3, 5), np.uint8))
    with pytest.warns(DataWarning, match=r"a\.png: looks like a mask.*and 2 more such files") as caught:
        load_folder(tmp_path)
    assert len(caught) == 1


LABELS = np.zeros((20, 30), np.int32)
LABELS[2:9, 3:11] = 1
LABELS[4:6, 5:8] = 0
LABELS[10:15, 2:7] = 2
LABELS[12:19, 12:28] = 3
LABELS[3, 25] = 4


def test_outlines_of_imagej_are_labels(tmp_path):
    from embedseg_ops.export.rois import write_rois

    touch(tmp_path / "a.png")
    write(tmp_path / "a.png", np.zeros(LABELS.shape, np.uint8))
    write_rois(tmp_path / "a_rois.zip", LABELS)
    (source,) = find_sources(tmp_path)
    np.testing.assert_array_equal(read_source_labels(source, LABELS.shape), LABELS)


def test_cellpose_files_are_labels_and_no_code_is_run(tmp_path):
    from embedseg_ops.export.cellpose import write_seg

    write(tmp_path / "a.tif", np.zeros(LABELS.shape, np.uint8))
    write_seg(tmp_path / "a_seg.npy", LABELS, tmp_path / "a.tif")
    (source,) = find_sources(tmp_path)
    np.testing.assert_array_equal(read_source_labels(source, LABELS.shape), LABELS)
    np.save(tmp_path / "a_seg.npy", LABELS * 10)
    np.testing.assert_array_equal(read_source_labels(source, LABELS.shape), LABELS)
    np.save(tmp_path / "a_seg.npy", {"masks": Harm(tmp_path / "harm")}, allow_pickle=True)
    with pytest.raises(DataError, match=r"a_seg\.npy: not a readable image: it holds .*, which is not read"):
        read_source_labels(source, LABELS.shape)
    assert not (tmp_path / "harm").exists()


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("folder", [".", "images"])
@pytest.mark.parametrize("kind", ["polygon", "run lengths", "coded"])
def test_coco_annotations_are_labels(tmp_path, kind, folder):
    masks = pytest.importorskip("pycocotools.mask")
    expected = np.zeros((20, 30), np.int32)
    expected[2:9, 3:11], expected[10:15, 2:7] = 1, 2
    annotations = []
    for number, (top, left, bottom, right) in enumerate([(2, 3, 9, 11), (10, 2, 15, 7), (17, 0, 20, 30)]):
        mask = np.zeros(expected.shape, np.uint8)
        mask[top:bottom, left:right] = 1
        runs = np.diff(np.flatnonzero(np.diff(mask.T.ravel(), prepend=0, append=2)), prepend=0).tolist()
        coded = masks.encode(np.asfortranarray(mask))
        segmentation = {
            "polygon": [[left, top, right, top, right, bottom, left, bottom]],
            "run lengths": {"size": [20, 30], "counts": runs},
            "coded": {"size": [20, 30], "counts": coded["counts"].decode()},
        }[kind]
        annotations.append({"image_id": 7, "segmentation": segmentation, "iscrowd": int(number == 2)})
    expected[17:] = -1
    content = {"images": [{"id": 7, "file_name": "a.png", "height": 20, "width": 30}], "annotations": annotations}
    write(tmp_path / folder / "a.png", np.zeros((20, 30), np.uint8))
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    (source,) = find_sources(tmp_path)
    np.testing.assert_array_equal(read_source_labels(source, (20, 30)), expected)
    with pytest.raises(DataError, match=r"a\.png has the size \(20, 30\) there"):
        read_source_labels(source, (20, 31))
    (tmp_path / "annotations.json").write_text("{}")
    with pytest.raises(DataError, match=r"annotations\.json: not COCO"):
        find_sources(tmp_path)
