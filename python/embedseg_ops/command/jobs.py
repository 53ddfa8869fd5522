"""What ``predict`` is to do: images, their outputs, and what an earlier run has done of it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from embedseg_ops.command.finding import Found, find_images, is_same
from embedseg_ops.command.options import given_parameters
from embedseg_ops.command.outputs import check_outputs
from embedseg_ops.command.reading import CHOICE
from embedseg_ops.command.records import Made, Record, file_hash, made_from
from embedseg_ops.command.writers import WRITERS, check_installed
from embedseg_ops.data.errors import DataError
from embedseg_ops.data.formats import SUFFIXES
from embedseg_ops.model.registry import find_model
from embedseg_ops.ops.options import PostprocessOptions
from embedseg_ops.predict.blocks.stores import SUFFIXES as STORES

OUTPUTS_DEPEND_ON = (*CHOICE, "diameter", "nan", "tile", "overlap", "precision", "gamma", "ids")


class Normalization(TypedDict, total=False):
    """What a prediction may choose of a model's `Settings`, beside the postprocessing."""

    percentiles: tuple[float, float]


class Job(NamedTuple):
    """One image and what is to be written for it.

    Args:
        image: the image.
        outputs: where each kind of output goes.
        record: says what was written before.
        made: what the outputs depend on.
    """

    image: Found
    outputs: dict[str, Path]
    record: Record
    made: Made

    @property
    def is_done(self) -> bool:
        """Whether an earlier run has written all of it."""
        return self.record.is_done(self.made, self.outputs.values())


def plan(options: argparse.Namespace) -> tuple[list[Job], list[Job]]:
    """Return all jobs, and those that are to be done; nothing is read but the model's file.

    Raises:
        DataError: a name stands for no image, or an output would harm a file.
        FileNotFoundError: there is no such model.
        ModuleNotFoundError: an output needs a package that is not installed.
    """
    out = options.out
    if out.suffix.lower() in SUFFIXES and not out.is_dir():
        raise DataError(f"--out {out}: expected a folder, or NAME{', NAME'.join(STORES)} for one image of any size")
    for name in options.images:
        if out.is_dir() and is_same(Path(name), out):
            raise DataError(f"--out {out}: holds the images; choose another folder")
    model = find_model(options.model)
    kinds = [kind for kind in dict.fromkeys(options.write) if not (options.no_overlay and kind == "overlay")]
    check_installed(kinds)
    relevant = {name: getattr(options, name) for name in OUTPUTS_DEPEND_ON}
    relevant |= given_parameters(options, Normalization) | given_parameters(options, PostprocessOptions)
    digest = file_hash(model)
    jobs = []
    for image in find_images(options.images, out, options.recursive):
        outputs = {kind: WRITERS[kind].path(out, image.name) for kind in kinds}
        record = Record(out / "records" / image.name.with_name(f"{image.name.name}.json"))
        jobs.append(Job(image, outputs, record, made_from(image.path, digest, relevant)))
    todo = [job for job in jobs if options.redo or not job.is_done]
    check(jobs, todo, options)
    return jobs, todo


def check(jobs: Sequence[Job], todo: Sequence[Job], options: argparse.Namespace) -> None:
    """Refuse outputs that would harm a file."""
    inputs = [job.image.path for job in jobs] + [find_model(options.model)]
    ours = [path for job in jobs for path in [*job.record.ours(), *([job.record.path] if job.record.known else [])]]
    outputs = [path for job in todo for path in [*job.outputs.values(), job.record.path]]
    check_outputs(outputs, inputs, options.out, ours, options.overwrite)
