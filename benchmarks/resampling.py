"""What a measure would be if other images were drawn: the bootstrap of all benchmarks, with one seed."""

from collections.abc import Iterator, Sequence

import numpy as np


def draws(groups: Sequence | np.ndarray, resamples: int, within: bool = False) -> Iterator[np.ndarray]:
    """The numbers of the items that are drawn, time after time: as many groups as there are, with their items.

    Args:
        groups: the group of each item.
        resamples: how many times.
        within: draw from a group as many items as it has, instead of taking each of them.
    """
    random = np.random.default_rng(0)
    members = [np.flatnonzero(np.asarray([*groups]) == group) for group in sorted({*groups})]
    for _ in range(resamples):
        chosen = (members[one] for one in random.integers(len(members), size=len(members)))
        yield np.concatenate([random.choice(items, len(items)) if within else items for items in chosen])


def times_drawn(groups: Sequence | np.ndarray, resamples: int, within: bool = False) -> np.ndarray:
    """How often each item is drawn ``[resamples, items]``; see `draws`."""
    return np.stack([np.bincount(drawn, minlength=len(groups)) for drawn in draws(groups, resamples, within)])


def interval(values: Sequence | np.ndarray) -> np.ndarray:
    """The 2.5 and 97.5 percentiles ``[2, …]`` of a measure's values ``[resamples, …]``."""
    return np.percentile(values, (2.5, 97.5), axis=0)
