"""Labels block by block are those of the whole image."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import cells, embedding_for

from embedseg_ops import distance_map, postprocess, postprocess_blocks
from embedseg_ops.ops.options import TUNED
from embedseg_ops.predict.blocks import growth
from embedseg_ops.predict.blocks.arrays import handle
from embedseg_ops.predict.blocks.postprocess_blocks import scratch

OPTIONS = [
    {},
    TUNED,
    {"seed_threshold": 0.4, "max_cosine_distance": 0.6},
    {
        "seed_threshold": 0.5,
        "seed_smoothing": 2.0,
        "min_seed_size": 4,
        "background_threshold": 0.3,
        "max_cosine_distance": 1.0,
    },
    {"seed_threshold": 0.3, "max_objects": 6, "min_depth_pixels": 0.8, "background_threshold": 0.4},
    {"min_object_size": 12, "min_depth_pixels": 0.5},
]


def network_output(shape, seed=0, noise=0.5, dim=6):
    """An embedding ``[D, *spatial]`` and a distance map ``[*spatial]``, rough enough for odd seeds and late joins."""
    labels = cells(shape, 6, seed, gap=0.2)[None]
    rough = torch.rand(labels.shape, generator=torch.Generator().manual_seed(seed))
    distance = distance_map(labels) + noise * (rough - 0.5)
    return embedding_for(labels, dim, seed, noise=noise)[0], distance[0]


def whole(embedding, distance, **options):
    return postprocess(embedding[None], distance[None], **options)[0].numpy()


def in_blocks(embedding, distance, block, halo=4, **options):
    out = np.full(distance.shape, 77, np.uint32)
    arrays = (np.asarray(embedding), np.asarray(distance))
    summary = postprocess_blocks(*arrays, out, block=block, halo=halo, progress=False, **options)
    assert summary.objects == out.max(initial=0)
    return out


@settings(max_examples=40)
@given(
    st.sampled_from([(23, 31), (7, 40), (6, 9, 14)]),
    st.integers(0, 5),
    st.sampled_from(OPTIONS),
    st.integers(8, 20),
    st.integers(1, 9),
    st.sampled_from([torch.float32, torch.float16, torch.float64]),
)
def test_equals_the_whole_image(shape, seed, options, block, halo, dtype):
    embedding, distance = (tensor.to(dtype) for tensor in network_output(shape, seed))
    expected = whole(embedding, distance, **options)
    np.testing.assert_array_equal(in_blocks(embedding, distance, block, halo, **options), expected)


@pytest.mark.parametrize("options", OPTIONS)
def test_blocks_without_objects(options, tmp_path):
    embedding, distance = network_output((40, 40))
    distance[14:] = 0.0
    out = np.full(distance.shape, 77, np.uint32)
    read = []

    class Watched(np.ndarray):
        def __getitem__(self, window):
            part = np.asarray(self)[window]
            read.append(part.size)
            return part

    postprocess_blocks(
        embedding.numpy().view(Watched), distance.numpy(), out, block=10, halo=3, progress=False, folder=tmp_path,
        **options,
    )  # fmt: skip
    np.testing.assert_array_equal(out, whole(embedding, distance, **options))
    if options.get("background_threshold") is None:
        assert read.count(len(embedding)) >= 4  # of a block without objects, one pixel


def test_a_map_as_high_as_the_threshold_everywhere_is_smoothed():
    for height in (0.7, 0.7000001, 0.699999, 0.0, -0.5):
        embedding, distance = torch.ones(2, 20, 20), torch.full((20, 20), height)
        options = {"seed_threshold": height, "seed_smoothing": 1.5}
        np.testing.assert_array_equal(
            in_blocks(embedding, distance, 8, **options), whole(embedding, distance, **options)
        )


@pytest.mark.parametrize("block", [(5, 40), (23, 4), 9])
def test_blocks_of_any_sides(block):
    embedding, distance = network_output((23, 31))
    np.testing.assert_array_equal(in_blocks(embedding, distance, block, 2), whole(embedding, distance))


def winding(size):
    """One object that winds through the image, from a seed in a corner: as many levels as it has pixels."""
    way = np.zeros((size, size), bool)
    way[::4] = True
    way[1::8, -1] = way[2::8, -1] = way[3::8, -1] = way[5::8, 0] = way[6::8, 0] = way[7::8, 0] = True
    distance = np.zeros((size, size), np.float32)
    distance[0, 0] = 1
    return np.stack([way, ~way]).astype(np.float32), distance


def test_growth_goes_on_through_many_blocks():
    embedding, distance = winding(21)
    expected = whole(*map(torch.from_numpy, (embedding, distance)))
    assert np.count_nonzero(expected) > 100
    np.testing.assert_array_equal(in_blocks(embedding, distance, 7, 3), expected)


def test_a_later_round_reads_only_what_may_change(tmp_path):
    embedding, distance = winding(41)
    read = []

    class Watched(np.ndarray):
        def __getitem__(self, window):
            part = np.asarray(self)[window]
            read.append(part[0].size)
            return part

    out = np.zeros(distance.shape, np.uint32)
    postprocess_blocks(embedding.view(Watched), distance, out, block=41, halo=3, progress=False, folder=tmp_path)
    np.testing.assert_array_equal(out, whole(*map(torch.from_numpy, (embedding, distance))))
    sums, first, *later = read
    assert sums in (1, 41**2)
    assert first == 41**2
    assert len(later) > 100
    assert max(later) <= 13**2  # a pixel that joined, and twice the halo around it


def test_without_another_round_growth_would_stop_short(monkeypatch):
    """The test above is worth something only if it shows what is missing."""
    monkeypatch.setattr(growth, "parts_to_wake", lambda *_: np.zeros((0, 5), np.int64))
    embedding, distance = winding(21)
    expected = whole(*map(torch.from_numpy, (embedding, distance)))
    assert (in_blocks(embedding, distance, 7, 3) != expected).any()


def test_a_halo_that_is_a_pixel_short_would_be_wrong(monkeypatch):
    grow = growth.grow_levels
    monkeypatch.setattr(growth, "grow_levels", lambda *given: grow(*given[:-1], given[-1] + 2))
    wrong = 0
    for seed in range(6):
        embedding, distance = network_output((23, 31), seed)
        options = {"max_cosine_distance": 1.5, "seed_threshold": 0.6}
        wrong += np.count_nonzero(
            in_blocks(embedding, distance, 8, 1, **options) != whole(embedding, distance, **options)
        )
    assert wrong > 0


def test_seeds_merge_across_edges_and_corners():
    for shape, corner in [((8, 8), (4, 4)), ((8, 8, 8), (4, 4, 4)), ((8, 8, 8), (4, 4, 2)), ((8, 8), (4, 1))]:
        distance = np.zeros(shape, np.float32)
        distance[tuple(slice(c - 1, c) for c in corner)] = distance[tuple(slice(c, c + 1) for c in corner)] = 1
        other = np.flip(distance, -1).copy()  # the other diagonal
        embedding = np.zeros((2, *shape), np.float32)
        for depths in (distance, other):
            assert in_blocks(embedding, depths, 4).max() == 1


def test_no_seed_no_object():
    assert not in_blocks(np.ones((3, 9, 9), np.float32), np.zeros((9, 9), np.float32), 4).any()


def test_not_finite_values():
    embedding, distance = network_output((23, 31))
    embedding[:, 3:9, 4], distance[10:14, 3:9] = torch.nan, torch.nan
    np.testing.assert_array_equal(in_blocks(embedding, distance, 8, **TUNED), whole(embedding, distance, **TUNED))


def test_a_memmap_and_a_path(tmp_path):
    embedding, distance = network_output((23, 31))
    np.save(tmp_path / "embedding.npy", embedding.numpy())
    np.save(tmp_path / "distance.npy", distance.numpy())
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.int32, (23, 31))
    postprocess_blocks(
        np.load(tmp_path / "embedding.npy", mmap_mode="r"), tmp_path / "distance.npy", out, block=9, progress=False
    )
    np.testing.assert_array_equal(out, whole(embedding, distance))


def test_a_run_that_is_over_is_not_done_again_and_another_is_refused(tmp_path):
    embedding, distance = (tensor.numpy() for tensor in network_output((23, 31)))
    out = np.zeros((23, 31), np.uint32)
    first = postprocess_blocks(embedding, distance, out, block=9, folder=tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "summary.json"]
    assert json.loads((tmp_path / "run.json").read_text())["block"] == [9, 9]
    assert postprocess_blocks(embedding, distance, out, block=9, folder=tmp_path, progress=False) == first
    with pytest.raises(ValueError, match=r"another run: halo was 64 and is 8"):
        postprocess_blocks(embedding, distance, out, block=9, halo=8, folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match="holds a run already"):
        postprocess_blocks(embedding, distance, out, block=9, resume=False, folder=tmp_path, progress=False)


def test_a_folder_for_the_run_goes_again():
    with scratch(None) as path:
        assert path.is_dir()
    assert not path.exists()


def bad_inputs():
    embedding, distance = np.zeros((3, 8, 9), np.float32), np.zeros((8, 9), np.float32)
    out = np.zeros((8, 9), np.uint32)
    yield TypeError, "embedding must have a shape", ([1.0], distance, out), {}
    yield TypeError, "embedding must be a float", (embedding.astype(int), distance, out), {}
    yield ValueError, r"embedding must be \[D, \*spatial\]", (distance, distance, out), {}
    yield ValueError, r"distance must be \[8, 9\]", (embedding, distance[1:], out), {}
    yield ValueError, r"out must be \[8, 9\]", (embedding, distance, out[1:]), {}
    yield TypeError, "out must have an integer dtype", (embedding, distance, distance), {}
    yield ValueError, "block must be at least 1", (embedding, distance, out), {"block": 0}
    yield ValueError, "halo must be at least 1", (embedding, distance, out), {"block": 4, "halo": 0}
    yield ValueError, "memory must be bytes", (embedding, distance, out), {"memory": "much"}
    yield ValueError, "memory must be at least 0.5 GiB for blocks of 512", (embedding, distance, out), {"memory": "1MB"}
    yield ValueError, "min_object_size must be at least 1", (embedding, distance, out), {"min_object_size": 0}
    yield TypeError, "unexpected keyword argument", (embedding, distance, out), {"colour": 0}


@pytest.mark.parametrize(("error", "message", "arguments", "options"), list(bad_inputs()))
def test_bad_input(error, message, arguments, options):
    with pytest.raises(error, match=message):
        postprocess_blocks(*arguments, progress=False, **options)


def test_a_part_of_a_memory_map_is_opened_where_it_lies(tmp_path):
    whole = np.lib.format.open_memmap(tmp_path / "stack.npy", "w+", np.int32, (3, 4, 5))
    whole[...] = np.arange(60).reshape(whole.shape)
    whole.flush()
    for part in (whole, whole[1], whole[1:][1, 2:]):
        assert np.array_equal(handle(part, "image")(), part)
    handle(whole[2], "out", "r+")()[...] = 7
    assert (whole[2] == 7).all()
    assert whole[1, 0, 0] == 20
