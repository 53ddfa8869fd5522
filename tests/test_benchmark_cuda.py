"""The GPU's benchmark, on the CPU: does every row run, and are its peers right?"""

import json

import pytest
import torch
from benchmarks import cuda
from benchmarks.peers import embedding as peers
from samples import cells, embedding_for

import embedseg_ops


@pytest.fixture
def without_gpu(monkeypatch):
    """Nothing is timed, and all is on the CPU."""
    monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
    monkeypatch.setattr(cuda, "time_call", lambda run: [1.0, 1.0, 1.0] if run() is None else [1.0, 2.0, 3.0])
    monkeypatch.setattr(cuda, "copy_speed", lambda: 1e6)
    monkeypatch.setattr(cuda, "replay", lambda run: run)
    monkeypatch.setattr(peers, "compiled_closed_form", lambda: peers.closed_form)


def test_every_row_runs_and_has_a_goal(without_gpu):
    rows = list(cuda.measure(2, 48, 6, 96))
    assert all(row.goal and row.reached is not None for row in rows[1:])
    assert {"growth, one image", "growth, 96²", "smoothing", "loss forward, bfloat16"} <= {row.name for row in rows}
    assert len({row.name for row in rows}) == len(rows)


def test_rows_are_kept_as_they_come(without_gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "none")
    monkeypatch.setattr(embedseg_ops, "build_info", lambda: {"cuda": "13.0"})

    def cut_off(*sizes):
        yield cuda.Measured("first", 1.0, 1.0, 1.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(cuda, "measure", cut_off)
    with pytest.raises(KeyboardInterrupt):
        cuda.main(["--small", "--json", str(tmp_path / "rows.json")])
    assert [row["name"] for row in json.loads((tmp_path / "rows.json").read_text())["rows"]] == ["first"]


def test_the_closed_form_takes_a_batch():
    labels = torch.stack([cells((20, 24), 6, seed, gap=0.3) for seed in (0, 1)])
    embedding, pairs = embedding_for(labels, 4), embedseg_ops.neighbor_pairs(labels)
    expected = embedseg_ops.embedding_loss(embedding, labels, pairs).total
    torch.testing.assert_close(peers.closed_form(embedding, labels, pairs, 7), expected)
