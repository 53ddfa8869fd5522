"""Network and postprocessing as an AOTInductor package, which runs in Python and in C++ without a trace of Python."""

import os

import torch

from embedseg_ops.data.writing import atomic_path
from embedseg_ops.interchange.tracing import KEY, example_input, quietly, sizes_that_change, what_goes_along
from embedseg_ops.model.networks import EmbeddingModel
from embedseg_ops.model.settings import Settings
from embedseg_ops.predict.segment import Segmenter


def write_aoti(path: str | os.PathLike[str], model: EmbeddingModel, settings: Settings) -> None:
    """Compile network and postprocessing and write them as one package, for images of any size; it takes minutes.

    The package maps float32 ``[batch, C, *spatial]``, normalised (of each channel `settings.percentiles` become 0 and
    1), to int32 labels ``[batch, *spatial]``. It is for the torch version, the kind of processor and the device that it
    was compiled with, and needs the operators: ``import embedseg_ops`` in Python. Its metadata tell the percentiles,
    as JSON under the key ``embedseg_ops``.

    Args:
        path: the file; its name must end in ``.pt2``.
        model: the network, in evaluation mode, on the device that the package is for.
        settings: its settings, whose postprocessing goes into the package.

    Raises:
        ValueError: `path` has another ending.
    """
    from torch._inductor import aoti_compile_and_package

    if os.path.splitext(path)[1] != ".pt2":
        raise ValueError(f"{path}: the name of an AOTInductor package must end in .pt2")
    image = example_input(settings, next(model.parameters()).device)
    free = dict.fromkeys(sizes_that_change(settings), torch.export.Dim.DYNAMIC)
    along = {"aot_inductor.metadata": {KEY: what_goes_along(settings)}}
    with quietly(), torch.no_grad(), atomic_path(path) as part:
        program = torch.export.export(Segmenter(model, settings).eval(), (image,), dynamic_shapes=(free,))
        aoti_compile_and_package(program, package_path=str(part), inductor_configs=along)
