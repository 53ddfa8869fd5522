// Segment the selected annotation, or the whole image, with embedseg-ops; the objects come back as detections.
// In QuPath: Automate > Script editor, then Run. Needs the program of: pip install embedseg-ops

import java.awt.geom.AffineTransform
import java.nio.file.Files
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObjectTools
import qupath.lib.regions.RegionRequest
import static qupath.lib.scripting.QP.*

def program = "embedseg-ops" // with its folder if it is not on the PATH
def more = [] // options of embedseg-ops predict, such as ["--model", "FILE", "--channel", "0"]
def downsample = 1.0 // 2.0: at half the resolution

/** Run a program; print what it says, and return its exit status. */
int execute(List<String> command) {
    println command.join(" ")
    def process = new ProcessBuilder(command).redirectErrorStream(true).start()
    process.inputStream.eachLine { println it }
    return process.waitFor()
}

def server = getCurrentServer()
def selected = getSelectedObject()
def request = selected?.hasROI()
    ? RegionRequest.createInstance(server.path, downsample, selected.ROI)
    : RegionRequest.createInstance(server, downsample)
def folder = Files.createTempDirectory("embedseg").toFile()
try {
    def image = new File(folder, "image.tif"), out = new File(folder, "out")
    writeImageRegion(server, request, image.path)
    def command = [program, "predict", image.path, "--out", out.path, "--write", "geojson"] + more
    if (execute(command) != 0) throw new RuntimeException("embedseg-ops failed; what it said is above")
    // from the region's pixels to the image's
    def place = new AffineTransform(downsample, 0, 0, downsample, request.x, request.y)
    def found = PathIO.readObjects(new File(out, "geojson/image.geojson"))
        .collect { PathObjectTools.transformObject(it, place, true) }
    if (selected?.hasROI()) found = found.findAll { selected.ROI.contains(it.ROI.centroidX, it.ROI.centroidY) }
    addObjects(found)
    fireHierarchyUpdate()
    println "${found.size()} objects"
} finally {
    folder.deleteDir()
}
