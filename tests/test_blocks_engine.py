"""Tasks whose outcome a thread writes while the next one computes."""

import pickle
import threading
import time

import numpy as np
import pytest
import torch

from embedseg_ops import postprocess_blocks
from embedseg_ops.predict.blocks.engine import run_tasks
from embedseg_ops.predict.blocks.maps import TileGrid, TileMaps


def test_all_is_written_in_order_and_before_the_end():
    written = []

    def task(number):
        def write():
            time.sleep(0.001)
            written.append(number)

        return write if number % 3 else written.append(number)  # a task may write for itself

    run_tasks(task, range(20), "pass")
    assert sorted(written) == list(range(20))
    assert [number for number in written if number % 3] == [number for number in range(20) if number % 3]


def test_a_task_computes_while_the_one_before_it_is_written():
    computing, writing = threading.Event(), threading.Event()

    def task(number):
        if number == 1:
            computing.set()
            assert writing.wait(10)

        def write():
            writing.set()
            assert computing.wait(10)

        return write

    run_tasks(task, [0, 1], "pass")


def test_no_more_than_one_outcome_waits():
    held, most, lock = 0, 0, threading.Lock()

    def task(number):
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)

        def write():
            nonlocal held
            time.sleep(0.005)
            with lock:
                held -= 1

        return write

    run_tasks(task, range(20), "pass")
    assert held == 0
    assert most == 2  # the one that is written, and the one that is computed


def test_an_error_while_writing_ends_the_pass():
    done = []

    def task(number):
        def write():
            if number == 2:
                raise OSError(28, "No space left on device")
            done.append(number)

        return write

    with pytest.raises(OSError, match="No space left"):
        run_tasks(task, range(9), "pass")
    assert done == [0, 1]
    with pytest.raises(OSError, match="No space left"):  # of the last one
        run_tasks(task, [2], "pass")


def test_an_error_while_computing_leaves_what_was_computed_before_it():
    done = []

    def task(number):
        if number == 2:
            raise ValueError("two")
        return lambda: done.append(number)

    with pytest.raises(ValueError, match="two"):
        run_tasks(task, range(9), "pass")
    assert done == [0, 1]


class Full(np.ndarray):
    """An array on a disk that is full."""

    def __setitem__(self, box, values):
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_told_and_the_run_goes_on_where_there_is_room(tmp_path):
    random = np.random.default_rng(0)
    embedding, distance = random.random((3, 30, 30), np.float32), random.random((30, 30), np.float32)
    out = np.zeros((30, 30), np.uint32)
    how = {"block": 10, "folder": tmp_path, "progress": False}
    with pytest.raises(OSError, match="No space left"):
        postprocess_blocks(embedding, distance, out.view(Full), **how)
    assert not (tmp_path / "written").exists()
    postprocess_blocks(embedding, distance, out, **how)
    expected = np.zeros((30, 30), np.uint32)
    postprocess_blocks(embedding, distance, expected, block=10, progress=False)
    assert expected.max() > 1
    np.testing.assert_array_equal(out, expected)


def test_a_window_keeps_its_memory_as_long_as_it_is_used(tmp_path):
    maps = TileMaps(tmp_path, TileGrid.over((9, 9), 16, 8, 8), 3)
    maps.write(0, torch.rand(3, 9, 9), torch.rand(9, 9))
    first, other = maps.embedding((slice(0, 4), slice(0, 4)))[1], maps.embedding((slice(5, 9), slice(0, 4)))
    again = maps.embedding((slice(0, 4), slice(0, 4)))
    assert torch.equal(first, again[1])
    place = again.data_ptr()
    del first, other, again
    assert maps.embedding((slice(2, 4), slice(0, 4))).data_ptr() == place
    assert pickle.loads(pickle.dumps(maps)).buffer.memory.size == 0  # it does not travel
