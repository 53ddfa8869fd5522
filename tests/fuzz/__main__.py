"""``python -m fuzz N [FIRST]``: N random calls, from seed FIRST on; tells what differs and goes on."""

import sys
from collections import Counter

import torch
from tqdm import tqdm

from .compare import check


def main() -> int:
    """Make the calls; return 1 if any result differs or any call fails."""
    torch.set_num_threads(1)
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    counts: Counter[str] = Counter()
    wrong = 0
    for seed in tqdm(range(first, first + int(sys.argv[1])), unit="call"):
        try:
            counts[check(seed)] += 1
        except Exception as error:
            wrong += 1
            print(f"seed {seed}: {type(error).__name__}: {error}", flush=True)
    print(f"{sum(counts.values()) + wrong} calls, {wrong} wrong", dict(sorted(counts.items())))
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
