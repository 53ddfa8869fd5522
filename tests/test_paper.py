"""The scripts that reproduce the paper, on small inputs."""

import json
from statistics import fmean, stdev

import numpy as np
import pytest
import tifffile
import torch
from benchmarks import ablation, nuclei
from benchmarks.harness import can_import
from benchmarks.nuclei import Output
from benchmarks.paper import competitors, fig1, fig4, outlook, table1, table2
from PIL import Image
from samples import UNTRAINED, cells

from embedseg_ops import distance_map, neighbor_pairs
from embedseg_ops.data.samples import Sample
from embedseg_ops.model.files import load_model, save_model
from embedseg_ops.model.settings import Settings


def test_discs_neighbor_the_four_beside_them():
    pairs = neighbor_pairs(fig1.pattern(rows=3), 10.0, background=False).tolist()
    middle = 5
    assert sorted(n for _, k, n in pairs if k == middle) == [2, 4, 6, 8]


def test_the_local_constraint_separates_where_the_global_one_cannot(tmp_path):
    labels = fig1.pattern(rows=4)
    neighbors, everyone = neighbor_pairs(labels, 10.0), neighbor_pairs(labels, 160.0)
    courses = {name: fig1.optimise(labels, p, neighbors, 100) for name, p in {"l": neighbors, "g": everyone}.items()}
    assert courses["l"].acute[100] > 80 > 65 > courses["g"].acute[100]
    fig1.write(courses, tmp_path)
    assert json.loads((tmp_path / "fig1.json").read_text())["l"]["acute"]["100"] == courses["l"].acute[100]
    assert np.asarray(Image.open(tmp_path / "fig1.png")).shape[1] > 4 * 240


@pytest.fixture
def data(tmp_path, monkeypatch):
    settings = Settings(filters=2, **UNTRAINED, postprocess={"seed_threshold": 0.3})
    save_model(tmp_path / "model.safetensors", settings.build(), settings)
    monkeypatch.setattr(ablation, "DEFAULT", tmp_path / "model.safetensors")
    for part, count in (("train", 3), ("test", 2)):
        for seed in range(count):
            labels = cells((48, 56), 8, seed, gap=0.4).numpy().astype(np.uint16)
            for kind, array in (("images", (labels > 0) * np.uint8(200)), ("labels", labels)):
                (tmp_path / part / kind).mkdir(parents=True, exist_ok=True)
                tifffile.imwrite(tmp_path / part / kind / f"{seed}.tif", array)
    return tmp_path


def test_every_deviation_of_the_postprocessing_is_measured(data, capsys):
    arguments = ["--model", str(data / "model.safetensors"), "--json", str(data / "nuclei.json")]
    nuclei.main([str(data / "test"), *arguments])
    found = json.loads((data / "nuclei.json").read_text())
    assert found["images"] == 2
    # without the one deviation that this model has, its postprocessing is the paper's
    assert list(found["scores"]) == ["the model's", "the paper's", "without seed threshold"]
    assert found["scores"]["the paper's"] == found["scores"]["without seed threshold"]
    assert "| without seed threshold |" in capsys.readouterr().out


def test_every_deviation_of_the_training_is_measured(data, monkeypatch, capsys):
    variants = ablation.variants()
    assert list(variants)[1:] == [
        "the paper's weights", "the paper's target scale", "no batch normalisation", "no distance features",
        "no Muon",
        "and a foreground", "and a diameter", "and object weights", "and residual blocks", "and 24 filters",
        "residual blocks, but no Muon", "all as in the paper",
    ]  # fmt: skip
    assert variants["all as in the paper"] == {
        "weights": "balanced", "target_scale": 1.0, "batch_norm": False, "distance_features": False,
        "optimizer": "adamw",
    }  # fmt: skip
    (data / "test").rename(data / "val")
    rows = ["and residual blocks", "all as in the paper"]
    arguments = [str(data), "--steps", "1", "--out", str(data / "runs"), "--json", str(data / "ablation.json")]
    ablation.main([*arguments, "--rows", *rows])
    scores = json.loads((data / "ablation.json").read_text())["scores"]
    assert list(scores) == [
        "and residual blocks, on training images", "and residual blocks",
        "all as in the paper, on training images", "all as in the paper", "and its postprocessing",
    ]  # fmt: skip
    assert all(row[0]["megapixels a second of processor"] > 0 for row in (scores[name] for name in rows))
    more = load_model(data / "runs" / "and-residual-blocks" / "last.safetensors")[1]
    assert (more.diameter, more.residual, more.training["object_weights"]) == (26, 1, True)
    trained = load_model(data / "runs" / "all-as-in-the-paper" / "last.safetensors")[1].training
    assert (trained["weights"], trained["target_scale"], trained["steps"]) == ("balanced", 1.0, 1)
    assert "| and its postprocessing | 1 |" in capsys.readouterr().out


def test_seeds_are_added_to_what_is_there(data, capsys):
    (data / "test").rename(data / "val")
    arguments = [str(data), "--steps", "1", "--out", str(data / "runs"), "--rows", "ours"]
    ablation.main(arguments)
    first = (data / "runs" / "ours" / "last.safetensors").read_bytes()
    capsys.readouterr()
    ablation.main([*arguments, "--seeds", "2", "--json", str(data / "ablation.json")])
    runs = json.loads((data / "ablation.json").read_text())["scores"]["ours"]
    assert (data / "runs" / "ours" / "last.safetensors").read_bytes() == first
    assert load_model(data / "runs" / "ours,-seed-1" / "last.safetensors")[1].training["seed"] == 1
    mean, deviation = fmean(run["mean AP"] for run in runs), stdev(run["mean AP"] for run in runs)
    assert f"| {mean:.3f} ± {deviation:.3f} |" in capsys.readouterr().out.split("| ours | 2 |")[1]


def test_table_1_goes_on_where_it_was_stopped(data, monkeypatch, capsys):
    monkeypatch.setattr(table1, "PUBLISHED", {(4, 10): 0.7537})
    arguments = [str(data), "--steps", "2", "--runs", str(data / "runs"), "--json", str(data / "table1.json")]
    table1.main(arguments)
    scores = json.loads((data / "table1.json").read_text())["scores"]
    assert scores["D 4, d 10"]["published mean AP"] == 0.7537
    assert len(scores) == 2
    before = (data / "runs" / "D4-d10" / "last.safetensors").stat().st_mtime_ns
    table1.main(arguments)
    assert (data / "runs" / "D4-d10" / "last.safetensors").stat().st_mtime_ns == before
    assert json.loads((data / "table1.json").read_text())["scores"] == scores
    assert "| D 4, d 10 |" in capsys.readouterr().out


def test_competitors_are_measured_alike(data, monkeypatch, capsys):
    missing = {"torchvision"} if can_import("stardist.geometry") else {"torchvision", "stardist.geometry"}
    monkeypatch.setattr(competitors, "can_import", lambda package: package not in missing)
    arguments = [str(data), "--steps", "2", "--runs", str(data / "runs"), "--json", str(data / "scores.json")]
    competitors.main(arguments)
    scores = json.loads((data / "scores.json").read_text())["scores"]
    skipped = {name for name, package in competitors.NEEDS.items() if package in missing}
    assert list(scores) == [name for name in competitors.METHODS if name not in skipped]
    assert all({"AP", "mean AP", "area ratio", "published"} <= set(row) for row in scores.values())
    assert "Mask R-CNN: SKIPPED, torchvision cannot be imported" in capsys.readouterr().err


def test_seeds_add_to_the_runs_that_are_there(data, monkeypatch, capsys):
    done = []

    def run(out, data, budget, seed):
        done.append((out.name, seed))
        return {"AP": {"0.5": 0.5, "0.75": 0.375, "0.9": 0.25}, "mean AP": 0.375, "area ratio": 1.0}

    monkeypatch.setattr(competitors, "METHODS", {"embedding": run, "Mask R-CNN": None, "U-Net, three labels": run})
    arguments = [str(data), "--methods", "embedding", "U-Net, three labels", "--json", str(data / "scores.json")]
    competitors.main(arguments)
    competitors.main([*arguments, "--seeds", "2"])
    first = [("embedding", 0), ("U-Net,-three-labels", 0)]
    assert done == [*first, *first, ("embedding,-seed-1", 1), ("U-Net,-three-labels,-seed-1", 1)]
    found = json.loads((data / "scores.json").read_text())
    assert list(found["scores"])[2:] == ["embedding, seed 1", "U-Net, three labels, seed 1"]
    assert found["spread"]["embedding"]["AP 0.9"] == [0.25, 0.0]
    assert "embedding: mean AP 0.375 ± 0.000" in capsys.readouterr().out


def perfect_output():
    labels = fig1.pattern(rows=4, period=16, radius=7.0)[0]
    axes = torch.eye(17)[labels.long()].movedim(-1, 0)[None]
    return Output(labels.numpy(), axes, distance_map(labels)[None])


def test_depth_is_the_distance_to_another_label():
    labels = np.zeros((5, 9), np.int32)
    labels[:, 3:6], labels[:, 6:] = 4, 7
    assert fig4.depth(labels)[2].tolist() == [0, 0, 0, 1, 2, 1, 1, 2, 3]


def test_inconsistency_by_depth():
    output = perfect_output()
    rows = fig4.inconsistency([output])
    assert sum(row["pixels"] for row in rows) == (output.truth > 0).sum()
    assert all(row["mean"] < 1e-6 and row["beyond"] == 0 for row in rows)
    edge = torch.from_numpy((fig4.depth(output.truth) > 0) & (fig4.depth(output.truth) < 1.5))
    wrong = Output(output.truth, torch.where(edge, output.embedding.roll(1, 1), output.embedding), output.distance)
    first, *others = fig4.inconsistency([wrong])
    assert first["beyond"] == 1
    assert all(row["beyond"] == 0 for row in others)
    assert fig4.panel(np.zeros((64, 64)), output, {}).shape[1] > 5 * 64


def test_figures_3_and_4_are_drawn(data):
    fig4.main([str(data / "test"), "--model", str(data / "model.safetensors"), "--out", str(data)])
    assert json.loads((data / "fig4.json").read_text())[0]["depth"] == 1
    assert "share beyond 0.3" in (data / "fig4.svg").read_text()
    height, width, _ = np.asarray(Image.open(data / "fig3.png")).shape
    assert height > 2 * 48
    assert width > 5 * 56


def test_ways_to_labels_agree_on_a_perfect_output():
    pytest.importorskip("sklearn.cluster")
    (crop,) = outlook.crops([perfect_output()], 1)
    assert crop.truth.shape == (64, 64)
    ways = outlook.axis_ways({"min_depth_pixels": 0.2}, torch.eye(17)) | {"mean shift": outlook.mean_shift}
    found = outlook.measure([crop], ways)
    assert list(found) == ["axes", "axes, trimmed", "axes, trimmed, not rotated", "mean shift"]
    assert all(row["AP"]["0.5"] > 0.9 for row in found.values())
    height, width, _ = outlook.picture(crop, ways).shape
    assert height > 64
    assert width > 5 * 64


def test_table_2_splits_plants_not_images(data, capsys):
    named = [Sample(f"plant{number:03}.png", torch.zeros(1), torch.zeros(1)) for number in (7, 1, 2, 9, 3, 20)]
    folds = table2.split(named, 3)
    assert sorted(sorted(sample.name for sample in fold) for fold in folds) == [
        ["plant001.png", "plant002.png", "plant003.png"], ["plant007.png", "plant020.png"], ["plant009.png"],
    ]  # fmt: skip
    for kind in ("images", "labels"):
        (data / "train" / kind / "2.tif").rename(data / "train" / kind / "5.tif")
    arguments = ["--steps", "2", "--folds", "2", "--runs", str(data / "runs"), "--json", str(data / "table2.json")]
    table2.main([str(data / "train"), *arguments])
    assert json.loads((data / "table2.json").read_text())["images"] == 3
    assert "published, other data  SBD 0.8307" in capsys.readouterr().out
    further = load_model(data / "runs" / "further" / "fold1" / "last.safetensors")[1]
    assert (further.foreground, further.residual, further.training["object_weights"]) == (True, 1, True)
    table2.main([str(data / "train"), *arguments, "--trainings", "further"])
    assert list(json.loads((data / "table2.json").read_text())["scores"]) == [
        "ours, with foreground, object weights and residual blocks"
    ]
