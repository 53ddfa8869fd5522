"""What some tests need of the machine, beside devices; `test_house` looks that they say so."""

import os
from pathlib import Path

import pytest

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such links, pipes, scripts, locks and signals")
LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux tells which file a descriptor is of")
