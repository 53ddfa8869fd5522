"""Blocks on the workers of a dask client."""

import dataclasses
import importlib.util
import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from machines import POSIX
from test_blocks_segment import image_of, small_model

from embedseg_ops import postprocess_blocks, segment, segment_blocks, segment_with_scores

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="distributed is needed"),
    pytest.mark.filterwarnings("ignore"),  # dask's own
]


@pytest.fixture(scope="module")
def client():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            yield client


def kill_after(process, folder):
    """Kill a worker without warning, in the middle: once a file is in a folder."""
    while not folder.exists() or not any(folder.iterdir()):
        time.sleep(0.002)
    os.kill(process, signal.SIGKILL)


@POSIX
def test_workers_give_the_labels_of_one_process_and_a_dead_one_changes_nothing(client, tmp_path):
    np.save(tmp_path / "image.npy", image_of((90, 80)))
    model = small_model()
    victim = next(iter(client.run(os.getpid).values()))
    killing = threading.Thread(target=kill_after, args=(victim, tmp_path / "labels.npy.run" / "seeds"), daemon=True)
    killing.start()
    summary = segment_blocks(
        tmp_path / "image.npy", tmp_path / "labels.npy", model, tile=40, overlap=16, block=30, halo=4, client=client,
        progress=False,
    )  # fmt: skip
    killing.join(0)
    assert not killing.is_alive()
    segment_blocks(tmp_path / "image.npy", tmp_path / "alone.npy", model, tile=40, overlap=16, block=90, progress=False)
    labels = np.load(tmp_path / "labels.npy")
    assert summary.objects == labels.max()
    np.testing.assert_array_equal(labels, np.load(tmp_path / "alone.npy"))
    np.testing.assert_array_equal(labels, segment(image_of((90, 80)), model, tile=40, overlap=16))


def test_workers_estimate_the_diameter_and_score_as_one_process(client, tmp_path):
    image, (network, settings) = image_of((61, 90)), small_model()
    np.save(tmp_path / "image.npy", image)
    changes = {"diameter": 26.0, "calibration": {"intercept": 0.0, "peak": 0.02, "margin": 1.0}}
    model, how = (network, dataclasses.replace(settings, **changes)), {"tile": 40, "overlap": 16}
    segment_blocks(
        tmp_path / "image.npy", tmp_path / "labels.npy", model, block=32, halo=4, client=client, scores=True,
        progress=False, **how,
    )  # fmt: skip
    labels, scores = segment_with_scores(image, model, **how)
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), labels)
    np.testing.assert_allclose(np.load(tmp_path / "labels.npy.run" / "scores.npy"), scores, rtol=1e-7)


def test_arrays_that_workers_do_not_see_are_refused(client, tmp_path):
    maps = np.zeros((2, 8, 8), np.float32), np.zeros((8, 8), np.float32)
    with pytest.raises(ValueError, match="embedding is in this process's memory"):
        postprocess_blocks(*maps, np.zeros((8, 8), np.uint32), block=4, client=client, folder=tmp_path)


def test_stores_whose_pieces_two_blocks_share_are_refused(client, tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3.1")
    np.save(tmp_path / "image.npy", image_of((40, 40)))
    out = zarr.create_array(tmp_path / "out.zarr", shape=(40, 40), dtype="uint32", chunks=(16, 16))
    with pytest.raises(ValueError, match=r"stored in pieces of \[16, 16\], and blocks of \[20, 20\] cut"):
        segment_blocks(
            tmp_path / "image.npy", out, small_model(), block=20, client=client, folder=tmp_path / "run", progress=False
        )
