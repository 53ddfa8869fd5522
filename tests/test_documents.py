"""What the documents promise: examples compute what they say, links and citations lead somewhere."""

import doctest
import re
from pathlib import Path

import pytest

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
