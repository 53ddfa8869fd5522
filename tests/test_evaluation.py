"""Folder against folder: the measures, and errors that name the file."""

import base64
import io
import json

import numpy as np
import pytest
import tifffile
from commands import run
from PIL import Image
from samples import cells

from embedseg_ops.command.main import main
from embedseg_ops.data.errors import DataError
from embedseg_ops.evaluate.figures import MATCHED, MISSED
from embedseg_ops.evaluate.report import html_report
from embedseg_ops.evaluate.summary import find_pairs, read_pair, summarize, table


def write(folder, name, labels):
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(folder / name, labels)


def test_a_perfect_prediction_and_an_empty_one():
    labels = cells((30, 40), 9, gap=0.3).numpy()
    summary = summarize(["a", "b"], [labels, labels], [labels, np.zeros_like(labels)])
    assert summary["AP"] == [0.5] * 9
    assert summary["area ratio"] == 0.5
    assert summary["image mean AP"] == {"a": 1.0, "b": 0.0}
    assert " mean  0.5000" in table(summary)
    assert table(summary).endswith("0.0000  b\n    1.0000  a")


def test_the_command_writes_a_table_and_json(tmp_path, capsys):
    labels = cells((30, 40), 9, gap=0.3).numpy().astype(np.uint16)
    write(tmp_path / "truth", "a_label.tif", labels)
    write(tmp_path / "prediction", "a.tif", labels)
    report = tmp_path / "report.json"
    assert main(["evaluate", str(tmp_path / "truth"), str(tmp_path / "prediction"), "--json", str(report)]) == 0
    said = capsys.readouterr().out
    assert " mean  1.0000  1.0000" in said
    assert said.endswith(f"\nwritten: {report}\n")
    assert json.loads(report.read_text())["SBD"] == 1


def test_images_in_place_of_labels_are_one_line(tmp_path, capsys):
    grey = np.random.default_rng(0).poisson(60, (40, 50)).astype(np.uint8)
    for name in "abc":
        write(tmp_path / "truth", f"{name}.tif", cells((40, 50), 9, gap=0.3).numpy().astype(np.uint16))
        write(tmp_path / "prediction", f"{name}.tif", grey)
    status, lines = run("evaluate", tmp_path / "truth", tmp_path / "prediction", capsys=capsys)
    assert status == 0
    assert len(lines) == 1
    assert "a.tif: looks like an image, not a label map" in lines[0]
    assert "(and 2 more such files in" in lines[0]


def test_the_report_shows_the_worst_images_first_on_their_images(tmp_path):
    labels = cells((30, 40), 9, gap=0.3).numpy().astype(np.uint16)
    for name, found in {"good": labels, "bad<": np.zeros_like(labels)}.items():
        write(tmp_path / "truth", f"{name}_label.tif", labels)
        write(tmp_path / "prediction", f"{name}.tif", found)
        write(tmp_path / "images", f"{name}.tif", labels * 100)
    folders = [str(tmp_path / "truth"), str(tmp_path / "prediction")]
    report = tmp_path / "report.html"
    assert main(["evaluate", *folders, "--report", str(report), "--images", str(tmp_path / "images")]) == 0
    page = report.read_text(encoding="utf-8")
    objects = len(np.unique(labels)) - 1
    assert page.index(f"bad&lt;: mean AP 0.000, 0 objects for {objects}") < page.index("good: mean AP 1.000")
    assert page.count("<svg") == 2
    pictures = [embedded(part) for part in page.split("data:image/png;base64,")[1:]]
    assert all(picture.shape[1] > 700 for picture in pictures)
    for picture, has, has_not in zip(pictures, (MISSED, MATCHED), (MATCHED, MISSED), strict=True):
        assert (picture == has).all(-1).any()
        assert not (picture == has_not).all(-1).any()
    (tmp_path / "images" / "good.tif").unlink()
    assert main(["evaluate", *folders, "--report", str(report), "--images", str(tmp_path / "images")]) == 2


def embedded(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text.split('"')[0]))))


def test_the_report_shows_a_volumes_middle_plane():
    volume = cells((5, 20, 30), 6).numpy()
    page = html_report(summarize(["v"], [volume], [volume]), [volume], [volume], [volume[None]])
    assert embedded(page.split("data:image/png;base64,")[1]).shape == (25 * 20, 25 * 30, 3)


def test_folders_that_do_not_match_are_named(tmp_path):
    with pytest.raises(DataError, match="truth: no such folder"):
        find_pairs(tmp_path / "truth", tmp_path / "prediction")
    (tmp_path / "truth").mkdir()
    (tmp_path / "prediction").mkdir()
    with pytest.raises(DataError, match="truth: no label map in it"):
        find_pairs(tmp_path / "truth", tmp_path / "prediction")
    write(tmp_path / "truth", "a.tif", np.zeros((4, 5), np.uint8))
    with pytest.raises(DataError, match=r"a\.tif: no labels of this name in .*prediction"):
        find_pairs(tmp_path / "truth", tmp_path / "prediction")
    write(tmp_path / "prediction", "a.tif", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"a\.tif: size \(4, 4\), but .*a\.tif has size \(4, 5\)"):
        read_pair(*find_pairs(tmp_path / "truth", tmp_path / "prediction"))
