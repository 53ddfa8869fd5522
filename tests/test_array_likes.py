"""Arrays of other libraries: what turns itself into a NumPy array is taken as one."""

import numpy as np
import pytest
from samples import cells, embedding_for

from embedseg_ops import connected_components, distance_map, neighbor_pairs, postprocess, propagate

LABELS = cells((31, 37), 6, gap=0.3)
EMBEDDING = embedding_for(LABELS[None], 4)[0].numpy()


class ArrayLike:
    """As dask and xarray arrays are: a shape, a dtype, and itself as a NumPy array."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim

    def __array__(self, dtype=None, copy=None):
        return self.array if dtype is None else self.array.astype(dtype)


def in_zarr(array):
    zarr = pytest.importorskip("zarr")
    stored = zarr.create_array({}, shape=array.shape, dtype=array.dtype)
    stored[...] = array
    return stored


@pytest.mark.parametrize("of", [ArrayLike, in_zarr])
def test_array_functions_take_them_and_answer_in_numpy(of):
    labels = LABELS.numpy()
    distance = distance_map(labels)
    for function, arrays in {
        connected_components: [labels > 0],
        distance_map: [labels],
        neighbor_pairs: [labels],
        propagate: [EMBEDDING, labels],
        postprocess: [EMBEDDING, distance],
    }.items():
        found = function(*map(of, arrays))
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, function(*arrays))
