"""What the documents promise: examples compute what they say, links and citations lead somewhere."""

import doctest
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from samples import cells, embedding_for

import embedseg_ops
from embedseg_ops.data.known import Known
from embedseg_ops.data.sample_files import open_folder
from embedseg_ops.model.registry import find_model

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
SOURCES = [
    path
    for folder in ("python", "csrc", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".h", ".cpp", ".cu", ".inl"} and path != Path(__file__)
]


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(page):
    return re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_in_the_text_compute_what_they_say(page):
    assert doctest.testfile(str(page), module_relative=False, encoding="utf-8").failed == 0


BLOCKS = [
    pytest.param(block, id=f"{page.name}, {number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M))
    if page.name != "interchange.md"  # its files are written by tests of their own
    and ">>>" not in block
    and "SLURM" not in block  # which is not here
]


@pytest.mark.parametrize("block", BLOCKS)
def test_programs_in_the_text_run(block, tmp_path, monkeypatch):
    """Run a program where the files that it names are, with what the text around it has introduced."""
    monkeypatch.chdir(tmp_path)
    truth = cells((64, 64), 6, gap=0.4)
    image = (truth > 0).numpy() * np.float32(200)
    for folder, pixels in (("images", image), ("labels", truth.numpy().astype(np.uint16))):
        (tmp_path / "DATA" / "train" / folder).mkdir(parents=True)
        tifffile.imwrite(tmp_path / "DATA" / "train" / folder / "a.tif", pixels)
    tifffile.imwrite(tmp_path / "slide.ome.tif", image)
    (tmp_path / "RUN").mkdir()
    shutil.copy(find_model(), tmp_path / "RUN" / "best.safetensors")
    embedding, distance = embedding_for(truth[None], 4), embedseg_ops.distance_map(truth[None])
    np.save("embedding.npy", embedding[0].numpy())
    np.save("distance.npy", distance[0].numpy())
    names = {"embedseg_ops": embedseg_ops, "np": np, "Known": Known, "open_folder": open_folder, "truth": truth[None],
             "labels": truth[None], "distance": distance, "embedding": embedding.requires_grad_(), "image": image,
             "channels": 4, "backbone": torch.nn.Conv2d(1, 4, 3, padding=1)}  # fmt: skip
    if "backbone" in block:  # a network sees batches
        names["image"] = torch.from_numpy(image)[None, None]
    exec(compile(block, "the text", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        linked = (page.parent / file) if file else page
        assert linked.exists(), target
        assert not heading or heading in {anchor(title) for title in headings(linked)}, target


def test_the_code_cites_sections_that_exist():
    sections = set(headings(ROOT / "docs" / "method.md"))
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        for cited in re.findall(r"docs/method\.md, ([A-Z][A-Za-z ]*)", text):
            assert cited in sections, f"{source}: {cited}"
        assert not re.search(r"\bSPEC\b", text), f"{source} cites a document that is not here"


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 90
    assert len(text.split()) <= 900
