"""Models as other programs run them: ONNX, bioimage.io packages, AOTInductor packages; one short file a format."""

from embedseg_ops.interchange.aoti import write_aoti
from embedseg_ops.interchange.bioimageio import Publication, write_bioimageio
from embedseg_ops.interchange.onnx import write_onnx

__all__ = ["Publication", "write_aoti", "write_bioimageio", "write_onnx"]
