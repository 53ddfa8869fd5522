"""The house: what may import what, and what the package shows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import embedseg_ops
from embedseg_ops.library import library_path

PACKAGE = Path(embedseg_ops.__file__).parent
LAYERS = [
    "ops",
    "reference",
    "data",
    "model",
    "predict",
    "evaluate",
    "export",
    "interchange",
    "train",
    "command",
    "napari",
]  # from the bottom up
FILES = sorted(PACKAGE.rglob("*.py"))
POSIX_ONLY = r"\b(mkfifo|symlink_to|os\.link|os\.kill|readlink|SIGKILL|SIGTERM|chmod|getuid|import resource)\b|/proc/"


def imports(path: Path) -> list[str]:
    """Return the full names of the modules of the package, and of their members, that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in names if name.partition(".")[0] == "embedseg_ops"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_layer_imports_only_what_lies_below_it(path):
    layer = path.relative_to(PACKAGE).parts[0]
    if layer not in LAYERS:
        return  # the face and the public names are made from every layer
    below = LAYERS[: LAYERS.index(layer) + 1]
    for name in imports(path):
        first = name.split(".")[1:2]
        assert first, f"{path.name} imports the package's own face"
        assert first[0] in [*below, "library", "version"], f"{path.name} imports {name}"


def test_every_public_name_is_there():
    for name in embedseg_ops.__all__:
        assert getattr(embedseg_ops, name) is not None
    assert set(embedseg_ops.__all__) <= set(dir(embedseg_ops))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        embedseg_ops.nothing  # noqa: B018


def test_importing_the_package_loads_the_operators_and_little_else():
    code = """if True:
        import sys, torch, embedseg_ops
        assert hasattr(torch.ops.embedseg_ops, "propagate")
        heavy = {"scipy", "skimage", "PIL", "tifffile", "safetensors", "napari", "qtpy"} & set(sys.modules)
        assert not heavy, heavy
        embedseg_ops.load_model("nuclei-crowded")
        assert "torch._dynamo" not in sys.modules  # a second to import
        embedseg_ops.metrics.average_precision, embedseg_ops.figures.overlay, embedseg_ops.models.UNet
        from embedseg_ops.losses import training_loss
        from embedseg_ops import reference, segment
        from embedseg_ops.napari import corrections, session
        assert not {"napari", "qtpy", "magicgui"} & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_the_compiled_library_knows_no_python():
    content = library_path().read_bytes()
    assert not any(name in content for name in (b"PyInit", b"PyObject", b"pybind11"))


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("test_*.py")), ids=lambda path: path.stem)
def test_tests_that_need_posix_say_so(path):
    if path == Path(__file__):
        return
    needy, written = [POSIX_ONLY], ast.parse(path.read_text(encoding="utf-8")).body
    marked = any(re.match("pytestmark = .*POSIX", ast.unparse(one)) for one in written)
    for one in written:
        text = ast.unparse(one)
        if isinstance(one, ast.FunctionDef | ast.Assign) and re.search("|".join(needy), text):
            name = one.name if isinstance(one, ast.FunctionDef) else ast.unparse(one.targets[0])
            needy.append(rf"\b{name}\b")
            assert marked or not name.startswith("test_") or re.match("@(POSIX|LINUX)", text), f"{name} needs a mark"


def test_the_recipe_for_conda_asks_for_what_the_package_needs():
    root = Path(__file__).parent.parent
    project = re.search(r"^dependencies = \[(.*?)^\]", (root / "pyproject.toml").read_text(), re.S | re.M)[1]
    needs = re.findall(r'"([\w-]+)>=([\d.]+)', project)
    recipe = (root / "third_party/conda-forge/recipe.yaml").read_text()
    run = re.search(r"^  run:\n(.*?)^\w", recipe, re.S | re.M)[1]
    renamed = {"pytorch": "torch"}
    assert [(renamed.get(name, name), least) for name, least in re.findall(r"- ([\w-]+) >=([\d.]+)", run)] == needs
    assert f'version: "{embedseg_ops.__version__}"' in recipe
