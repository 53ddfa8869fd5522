"""The GPUs that a build is for: the least compute capability, checked at build and when a tensor comes."""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from devices import PATH
from machines import POSIX

from embedseg_ops.ops import arguments

SCRIPT = Path(__file__).parents[1] / "third_party" / "architectures.cmake"


def choose(tmp_path, capabilities, wish=""):
    """What is chosen on a machine with GPUs of these capabilities; None: without any."""
    told = "exit 9" if capabilities is None else f"printf '{capabilities}'"
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{told}\n")
    program.chmod(0o755)
    command = ["cmake", f"-DEMBEDSEG_CUDA_ARCHITECTURES={wish}", "-P", str(SCRIPT)]
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{PATH}"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stderr.strip()


@POSIX
@pytest.mark.skipif(shutil.which("cmake", path=PATH) is None, reason="cmake is needed")
def test_the_least_compute_capability_is_found_out_at_build(tmp_path):
    assert choose(tmp_path, None) == "architectures: 80, too old:"
    assert choose(tmp_path, r"9.0\n9.0\n") == "architectures: 90, too old:"
    assert choose(tmp_path, r"12.0\n8.6\n") == "architectures: 120;86, too old:"
    assert choose(tmp_path, r"7.5\n") == "architectures: 75, too old: 75"
    assert choose(tmp_path, r"7.5\n", "90-real") == "architectures: 90-real, too old:"
    assert choose(tmp_path, None, "RELEASE").startswith("architectures: 80;86-real")
    assert choose(tmp_path, None, "70-real;80") == "architectures: 70-real;80, too old: 70-real"


def test_a_tensor_on_an_older_gpu_says_so(monkeypatch):
    tensor = SimpleNamespace(device=torch.device("cuda", 0), is_cuda=True)
    monkeypatch.setattr(arguments, "HAS_CUDA", True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with pytest.raises(RuntimeError, match=r"labels is on cuda:0, of compute capability 7\.5, but .* 8\.0"):
        arguments.check_device(tensor, "labels")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    arguments.check_device(tensor, "labels")
