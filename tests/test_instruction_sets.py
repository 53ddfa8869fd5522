"""Every instruction set computes the same; a processor without the wider ones runs the plainer ones."""

import os
import subprocess
import sys

import pytest
import torch
from samples import cells, embedding_for

import embedseg_ops

WIDTHS = ["plain", "avx2", "avx512"]


def compute():
    """Something from every kernel that is compiled more than once."""
    labels = torch.stack([cells((61, 83), 14, seed, gap=0.3) for seed in (0, 1)])
    results = {"isa": embedseg_ops.build_info()["simd"], "distance": embedseg_ops.distance_map(labels)}
    for dim, dtype in [(4, torch.float32), (16, torch.float32), (5, torch.float64), (16, torch.float16)]:
        for layout in (torch.contiguous_format, torch.channels_last):
            embedding = embedding_for(labels, dim, dtype=dtype, noise=0.4).to(memory_format=layout).requires_grad_()
            loss = embedseg_ops.embedding_loss(embedding, labels).total
            loss.backward()
            grown = embedseg_ops.postprocess(embedding, results["distance"])
            results[f"{dim}, {dtype}, {layout}"] = (loss.detach(), embedding.grad, grown)
    return results


@pytest.fixture(scope="module")
def expected():
    return compute()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_instruction_set_gives_the_same(width, expected, tmp_path):
    if WIDTHS.index(width) > WIDTHS.index(expected["isa"]):
        pytest.skip(f"this processor has no {width}")
    file = tmp_path / "results.pt"
    code = f"import torch, test_instruction_sets as test; torch.save(test.compute(), {str(file)!r})"
    environment = {**os.environ, "EMBEDSEG_SIMD": width, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    found = torch.load(file)
    assert found.pop("isa") == width
    for name, results in found.items():
        torch.testing.assert_close(results, expected[name], atol=1e-6, rtol=1e-5)
