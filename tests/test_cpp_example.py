"""A C++ program, built by find_package(embedseg_ops), gives the labels that Python gives."""

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from samples import cells

import embedseg_ops
from embedseg_ops.library import library_path

ROOT = Path(__file__).parent.parent
HEADER = ROOT / "csrc/include/embedseg_ops.h"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
CMAKE = shutil.which("cmake", path=PATH)


def test_the_defaults_in_cpp_are_those_in_python():
    struct = re.search(r"struct PostprocessOptions \{(.*?)\};", HEADER.read_text(), re.S)
    written = dict(re.findall(r"(\w+) = ([^;]+);", struct[1]))
    parameters = inspect.signature(embedseg_ops.postprocess).parameters.values()
    ours = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "spatial_dims"}
    assert {name: None if value == "std::nullopt" else float(value) for name, value in written.items()} == ours


@pytest.mark.skipif(not (CMAKE and shutil.which("c++")), reason="needs cmake and a C++ compiler")
@pytest.mark.skipif(not (library_path().parent / "share").exists(), reason="the package is not installed by CMake")
def test_a_program_segments_as_python_does(tmp_path):
    prefix = f"-DCMAKE_PREFIX_PATH={embedseg_ops.cmake_prefix_path()}"
    clean = {**os.environ, "PATH": PATH}
    for command in (["-S", ROOT / "examples/cpp", "-B", tmp_path, prefix], ["--build", tmp_path]):
        done = subprocess.run([CMAKE, *map(str, command)], capture_output=True, text=True, env=clean)
        assert done.returncode == 0, done.stdout + done.stderr

    torch.manual_seed(0)
    labels = cells((96, 128), 30, gap=0.3)[None]
    distance = embedseg_ops.distance_map(labels) + 0.05 * torch.randn(labels.shape)
    embedding = torch.randn(31, 4)[labels].movedim(-1, 1) + 0.2 * torch.randn(1, 4, *labels.shape[1:])
    torch.save({"embedding": embedding, "distance": distance}, tmp_path / "output.pt")
    done = subprocess.run([tmp_path / "segment", tmp_path / "output.pt", tmp_path / "labels.pt"], capture_output=True)
    assert done.returncode == 0, done.stderr
    options = {"seed_smoothing": 1.0, "min_seed_size": 5, "background_threshold": 0.05, "max_cosine_distance": 1.0}
    expected = embedseg_ops.postprocess(embedding, distance, **options)
    assert expected.max() > 10
    assert torch.equal(torch.load(tmp_path / "labels.pt"), expected)
    assert done.stdout == f"{expected.max()} objects\n".encode()
