"""The benchmarks run, and their peers give what docs/method.md says; ours is tested elsewhere."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are not part of the package

from benchmarks import __main__ as command
from benchmarks import goals, harness, report, rows, scene
from benchmarks.rows import training_step

SMALL = scene.crowded_cells(64, 12, dim=8)


@pytest.mark.parametrize("module", rows.MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_peers_agree(module):
    for row in module.rows(SMALL, harness.Effort.QUICK):
        result = report.judge(row, harness.time_row(row, budget=0.001))
        notes = {timing.name: timing.note for timing in result.timings if timing.name != "ours"}
        assert not [note for note in notes.values() if note.startswith(("WRONG", "failed"))], notes
        assert row.name in report.text(result)


def test_the_command_writes_what_it_measures(tmp_path, capsys):
    files = tmp_path / "speed.json", tmp_path / "speed.md"
    assert command.main(["--quick", "--only", "metrics", "--json", str(files[0]), "--markdown", str(files[1])]) == 0
    [row] = json.loads(files[0].read_text())["rows"]
    assert row["name"] in capsys.readouterr().out
    assert row["name"] in files[1].read_text()
    assert all(timing["median"] is None or timing["low"] <= timing["median"] for timing in row["timings"])


def test_wrong_outputs_and_failures_are_reported():
    def wrong(output):
        assert output == 2, "not two"

    def fail():
        raise OSError("no such thing")

    row = harness.Row("row", [harness.Contender("wrong", lambda: 1, check=wrong), harness.Contender("fails", fail)])
    notes = [timing.note for timing in harness.time_row(row, budget=0.001)]
    assert notes[0].startswith("WRONG: not two")
    assert notes[1:] == ["failed: OSError: no such thing"]


def test_goals():
    times = {"read": 1.0, "copy": 2.0, "slow": 40.0, "slower": 90.0}
    assert goals.at_most(1.5, "read", "copy").reached(6.0, times) == (2.0, False)
    assert goals.faster(10, "slow", "slower", "missing").reached(2.0, times) == (20.0, True)
    assert goals.faster(10, "missing").reached(2.0, times) is None


@pytest.mark.parametrize(("size", "objects"), [(128, 40), ((24, 24, 24), 20), (64, 0)])
def test_scene(size, objects):
    drawn = scene.crowded_cells(size, objects, seed=3)
    again = scene.crowded_cells(size, objects, seed=3)
    labels, embedding = drawn.labels[0].numpy(), drawn.embedding[0].numpy()
    assert embedding.shape == (16, *labels.shape)
    np.testing.assert_array_equal(np.unique(labels), np.arange(objects + 1))
    np.testing.assert_array_equal(embedding, again.embedding[0].numpy())
    if objects:
        assert 0.5 < (labels > 0).mean() < 0.8


def test_shares():
    assert goals.Share("part", 10).reached(2.0, {"part": 0.5}) == (25.0, False)
    assert goals.Share("part", 10).reached(2.0, {}) is None


def test_a_training_step_gives_the_same_again_with_ours_and_with_the_definitions():
    step = training_step.Step(SMALL, crop=64, batch=2)
    loss, gradient = step.whole()
    step.network()  # must not move the weights either
    again, same = step.whole()
    assert loss == again
    assert gradient.abs().max() > 0
    np.testing.assert_allclose(gradient, same, rtol=1e-5)
    np.testing.assert_allclose(loss, step.with_reference()[0], rtol=1e-5)
