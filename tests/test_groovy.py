"""The scripts for Fiji and QuPath: run with ImageJ, and with stand-ins for what QuPath has."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from machines import POSIX
from roifile import roiread

import embedseg_ops
from embedseg_ops.data.drawn import cells

EXAMPLES = Path(__file__).parents[1] / "examples"
IMAGEJ = Path("/usr/share/java/ij.jar")  # of Debian's libij-java

FIJI = """
def imp = ij.IJ.openImage(args[1])
if (imp.getNChannels() > 1) imp.setC(2)
def text = new File(args[0]).readLines().findAll { !it.startsWith("#@") }.join("\\n") // SciJava's
new GroovyShell(new Binding([imp: imp, program: args[2], more: ""])).evaluate(text)
ij.plugin.frame.RoiManager.instance.runCommand("Save", args[3])
System.exit(0)
"""
QUPATH = """
class ROI {
    double centroidX, centroidY
    boolean contains(double x, double y) { true }
}
class Thing {
    Object place; double x, y
    ROI getROI() { new ROI(centroidX: x, centroidY: y) }
    boolean hasROI() { true }
}
class Request {
    int x = 100, y = 50
}
class RegionRequest {
    static createInstance(Object... about) { new Request() }
}
class PathIO {
    static List readObjects(File file) {
        new groovy.json.JsonSlurper().parse(file).features.collect {
            new Thing(x: it.geometry.coordinates.flatten()[0], y: it.geometry.coordinates.flatten()[1])
        }
    }
}
class PathObjectTools {
    static transformObject(Object one, java.awt.geom.AffineTransform place, boolean measurements) {
        def moved = place.transform(new java.awt.geom.Point2D.Double(one.x, one.y), null)
        new Thing(x: moved.x, y: moved.y)
    }
}
class QP {
    static List added = []
    static getCurrentServer() { [path: "server"] }
    static getSelectedObject() { new Thing() }
    static writeImageRegion(Object server, Object request, String path) {
        new File(path).bytes = new File(System.getenv("TEST_IMAGE")).bytes
    }
    static addObjects(List objects) { added += objects }
    static fireHierarchyUpdate() { added.each { println "at ${it.x} ${it.y}" } }
}
"""


pytestmark = POSIX  # the command is a script there


@pytest.fixture
def groovy(tmp_path):
    """Run a script of Groovy; return what it prints."""
    if shutil.which("groovy") is None:
        pytest.skip("groovy is not installed")
    java = Path(shutil.which("java")).resolve().parents[1]
    program = tmp_path / "embedseg-ops"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m embedseg_ops "$@"\n')
    program.chmod(0o755)
    paths = os.pathsep.join([str(Path(embedseg_ops.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])

    def run(text, *arguments, before=(), **environment):
        script = tmp_path / "script.groovy"
        script.write_text(text)
        variables = {**os.environ, "JAVA_HOME": str(java), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment}
        command = [*before, "groovy", "-cp", str(IMAGEJ), str(script), *map(str, arguments)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.program = program
    return run


@pytest.fixture
def image():
    """A drawn image and its labels by the shipped model."""
    pixels = cells(0, 96, 20)[0]
    return pixels, embedseg_ops.segment(pixels)


@pytest.mark.parametrize("kind", ["image", "stack", "channels"])
def test_fiji_gets_the_objects_as_rois(groovy, image, tmp_path, kind):
    if not IMAGEJ.exists() or shutil.which("xvfb-run") is None:
        pytest.skip("ImageJ (libij-java) or xvfb-run is not installed")
    pixels, labels = image
    stored = {"image": pixels, "stack": np.stack([pixels, pixels[::-1]]), "channels": np.stack([pixels // 2, pixels])}
    axes = {"image": "YX", "stack": "ZYX", "channels": "CYX"}[kind]
    tifffile.imwrite(tmp_path / "a.tif", stored[kind], imagej=True, metadata={"axes": axes})
    script, out = EXAMPLES / "fiji" / "segment_active_image.groovy", tmp_path / "rois.zip"
    groovy(FIJI, script, tmp_path / "a.tif", groovy.program, out, before=["xvfb-run", "-a"])
    rois = roiread(out)
    planes = [roi.z_position for roi in rois]  # ImageJ's of a stack
    first = [roi for roi in rois if roi.z_position < 2]
    assert len(first) == labels.max()
    if kind == "stack":
        assert sorted(set(planes)) == [1, 2]
    boxes = sorted((roi.top, roi.left) for roi in first)
    where = [np.nonzero(labels == number) for number in range(1, labels.max() + 1)]
    assert boxes == sorted((y.min(), x.min()) for y, x in where)


def test_qupath_gets_the_objects_in_their_place(groovy, image, tmp_path):
    pixels, labels = image
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    script = (EXAMPLES / "qupath" / "segment_selection.groovy").read_text()
    lines = [line for line in script.splitlines() if not line.startswith(("import qupath", "import static qupath"))]
    text = "\n".join(lines).replace('"embedseg-ops" //', f'"{groovy.program}" //')
    found = groovy("import static QP.*\n" + QUPATH + text, TEST_IMAGE=str(tmp_path / "a.tif"))
    places = [tuple(map(float, line.split()[1:])) for line in found.splitlines() if line.startswith("at ")]
    assert len(places) == labels.max()
    features = embedseg_ops.export.geojson(labels)["features"]
    first = [np.array(one["geometry"]["coordinates"][0]).reshape(-1, 2)[0] for one in features]
    assert sorted(places) == sorted((x + 100, y + 50) for x, y in first)
