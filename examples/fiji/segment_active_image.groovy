#@ ImagePlus imp
#@ String (label = "embedseg-ops", description = "the program, with its folder if it is not on the PATH", value = "embedseg-ops") program
#@ String (label = "more options", description = "of embedseg-ops predict, such as --model FILE", value = "", required = false) more

// Segment the active image with embedseg-ops; the objects come into the ROI Manager.
// In Fiji: File > Open..., then Run; language Groovy. Needs the program of: pip install "embedseg-ops[export]"

import ij.IJ
import ij.ImagePlus
import ij.plugin.frame.RoiManager
import java.nio.file.Files

/** Return the options that say which of the image's planes are segmented: all of them, but of one channel and time. */
List<String> choice(ImagePlus imp) {
    def options = []
    if (imp.getNChannels() > 1) options += ["--channel", "${imp.getC() - 1}".toString()]
    if (imp.getNSlices() > 1) options += ["--z", "all"]
    if (imp.getNFrames() > 1) options += ["--time", imp.getNSlices() > 1 ? "${imp.getT() - 1}".toString() : "all"]
    return options
}

/** Run a program; show what it says in the log, and return its exit status. */
int execute(List<String> command) {
    IJ.log(command.join(" "))
    def process = new ProcessBuilder(command).redirectErrorStream(true).start()
    process.inputStream.eachLine { IJ.log(it) }
    return process.waitFor()
}

def folder = Files.createTempDirectory("embedseg").toFile()
try {
    def image = new File(folder, "image.tif"), out = new File(folder, "out")
    IJ.saveAsTiff(imp.duplicate(), image.path) // a duplicate, so that the image keeps its name
    def command = [program, "predict", image.path, "--out", out.path, "--write", "rois"] + choice(imp)
    if (more?.trim()) command += more.trim().split(/\s+/).toList()
    if (execute(command) != 0) {
        IJ.error("embedseg-ops", "It failed; the log says why.")
        return
    }
    def manager = RoiManager.getInstance() ?: new RoiManager()
    manager.reset()
    manager.runCommand("Open", new File(out, "rois/image.zip").path)
    manager.runCommand(imp, "Show All without labels")
    IJ.log("${manager.count} objects")
} finally {
    folder.deleteDir()
}
