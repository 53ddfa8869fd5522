"""The network as ONNX, which ONNX Runtime, OpenVINO, TensorRT, MATLAB, Java and browsers run."""

import importlib.util
import os

import torch

from embedseg_ops.data.writing import atomic_path
from embedseg_ops.interchange.tracing import KEY, example_input, quietly, sizes_that_change, what_goes_along
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.settings import Settings

OPSET = 18  # old enough for the programs in use


def write_onnx(path: str | os.PathLike[str], model: EmbeddingModel, settings: Settings) -> None:
    """Write the network as one ONNX file, for batches of any size of images of any size.

    The input ``image`` is float32 ``[batch, C, *spatial]``, normalised: of each channel `settings.percentiles` become 0
    and 1. The outputs are ``embedding`` ``[batch, D, *spatial]`` and ``distance`` ``[batch, *spatial]``, from which
    `embedseg_ops.postprocess` makes labels. The file's metadata tell the percentiles and the options, as JSON under the
    key ``embedseg_ops``.

    Args:
        path: the file.
        model: the network, in evaluation mode.
        settings: its settings.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is missing: ``pip install "embedseg-ops[onnx]"``.
    """
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript")):
        raise ModuleNotFoundError('ONNX needs onnx and onnxscript: pip install "embedseg-ops[onnx]"')
    import onnx_ir

    free = sizes_that_change(settings)
    image = example_input(settings, next(model.parameters()).device)
    with quietly():
        program = torch.onnx.export(
            model, (image,), dynamo=True, verbose=False, opset_version=OPSET, input_names=["image"],
            output_names=["embedding", "distance"], dynamic_shapes=(free,),
        )  # fmt: skip
    assert program is not None
    batch, *spatial = free.values()
    embedding, distance = program.model.graph.outputs
    # the tracer knows them only as formulas of the padding and the cropping
    embedding.shape, distance.shape = onnx_ir.Shape([batch, settings.dim, *spatial]), onnx_ir.Shape([batch, *spatial])
    program.model.metadata_props[KEY] = what_goes_along(settings)
    with atomic_path(path) as part:
        program.save(part, external_data=False)
