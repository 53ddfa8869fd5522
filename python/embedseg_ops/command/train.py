"""``embedseg-ops train``: a model from images and label maps."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from embedseg_ops.command import values
from embedseg_ops.command.config import configuration
from embedseg_ops.command.options import add_options, in_words, make, spelled
from embedseg_ops.command.outputs import check_outputs, is_ours
from embedseg_ops.command.reading import add_choice, choice_of
from embedseg_ops.data.known import Known
from embedseg_ops.data.processes import Group
from embedseg_ops.data.sample_files import SampleFile, open_folder
from embedseg_ops.data.scale import common_spacing
from embedseg_ops.data.writing import write_atomically
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import MODEL_HELP, find_model, is_name
from embedseg_ops.model.settings import ARCHITECTURE, Settings
from embedseg_ops.predict.checks import check_postprocess
from embedseg_ops.train.options import Options
from embedseg_ops.train.trainer import Trainer

HELP = "train a model on images and label maps"
EXAMPLE = "train DATA --out RUN"
KNOWN = "samples.cache"
FILES = ("run.toml", KNOWN, "checkpoint.pt", "losses.csv", "best.safetensors", "last.safetensors")
CAN_GROW = ("foreground", "residual")  # of a model to start from
FOUND_OUT = ("channels", "calibration", "training", "scores")  # settings that no option gives


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``train``."""
    parser.add_argument(
        "data", type=Path, help="folder with images/ and labels/, or with train/ and perhaps val/ that are such folders"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="folder for the run; one that was begun is continued"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help="take options from this TOML file; those given here replace them. Every run writes one, OUT/run.toml",
    )  # fmt: skip
    parser.add_argument(
        "--hold-out", type=values.whole(2, also=[0]), default=8, metavar="INT",
        help="without val/, hold every n-th image out, to validate on; 0: none (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help=f"start from the weights, and with the architecture, of this model: {MODEL_HELP}",
    )
    parser.add_argument(
        "--channels", type=values.whole(1), metavar="INT",
        help="how many the model takes: 1 makes colours grey, 3 makes grey colours (default: those of the first image)",
    )  # fmt: skip
    values.add_device(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace files in OUT that something else wrote")
    add_choice(parser, one_by_one=False)
    add_options(parser.add_argument_group("training"), Options)
    add_options(parser.add_argument_group("the model"), Settings, skip=FOUND_OUT, absent=ARCHITECTURE)


def run(options: argparse.Namespace) -> int:
    """Run ``embedseg-ops train``."""
    given = dict(vars(options))
    init = find_model(options.init) if options.init else None
    if os.environ.get("RANK", "0") == "0":  # of torchrun's processes, one refuses
        check(options.out, init, options.overwrite)
    if init:
        given |= architecture(init, given)
    group = Group.join(choose_device(options.device))
    try:
        return run_in(group, options, given, init)
    finally:
        group.leave()


def architecture(init: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Return the architecture of the model to start from, with what was `given` beyond it; refuse what is another."""
    found = dataclasses.asdict(load_model(init)[1])
    found = {name: found[name] for name in ("channels", *ARCHITECTURE)}
    for name, own in found.items():
        asked = given.get(name)
        if asked is None or asked == own:
            continue
        if name not in CAN_GROW or asked < own:
            raise ValueError(f"{spelled(name)} is {in_words(asked)}, but {init}, to start from, has {in_words(own)}")
        found[name] = asked
    return found


def run_in(group: Group, options: argparse.Namespace, given: dict[str, Any], init: Path | None) -> int:
    """Run ``embedseg-ops train`` in one of the processes of a group, with the options that are `given`."""
    first = group.rank == 0  # of the processes, one speaks
    choice = {**choice_of(options), "percentiles": given["percentiles"]}
    chosen, settings = make(Options, given), make(Settings, {**given, "channels": given["channels"] or 1})
    check_postprocess(settings)  # before anything is read
    choice["spatial_dims"] = settings.spatial_dims
    with Known(options.out / KNOWN, group) as known:
        samples, validation = load_training_data(
            options.data, given["channels"], options.hold_out, progress=first, known=known, **choice
        )
    spacing = settings.spacing or spacing_of(samples)
    settings = dataclasses.replace(settings, channels=len(samples[0].ends[0]), spacing=spacing)
    trainer = Trainer(options.out, settings, samples, validation, chosen, options.device, progress=True, init=init)
    if first:
        write_atomically(options.out / "run.toml", used(options, settings, chosen))
        counts = f"{len(samples)} image{'s' * (len(samples) != 1)}, validating on {len(validation)}"
        print(f"training on {counts}, on device {trainer.device}", file=sys.stderr)
    trainer.run()
    if first:
        print(f"models in {options.out}: best.safetensors, last.safetensors", file=sys.stderr)
    return 0


def spacing_of(samples: list[SampleFile]) -> tuple[float, ...] | None:
    """Return the spacing that the files of volumes tell; images have pixels as long as wide."""
    return common_spacing(sample.pixel_size for sample in samples if len(sample.shape) == 3)


def check(out: Path, init: Path | None, overwrite: bool) -> None:
    """Refuse a folder whose files are no run's, and a run that would replace the model that it starts from."""
    files = [out / name for name in FILES]
    ours = [file for file in files[:2] if is_ours(file)]
    if (out / "checkpoint.pt").exists():
        ours += files[1:]
    elif files[0] in ours:
        ours.append(out / "losses.csv")  # of a run that ended, as for want of memory, before its first checkpoint
    check_outputs(files, [init] if init else [], out, ours, overwrite)


def used(options: argparse.Namespace, settings: Settings, chosen: Options) -> bytes:
    """Return the file that starts this run again."""
    alone = {
        "data": str(options.data.absolute()),
        "out": str(options.out.absolute()),
        "hold_out": options.hold_out,
        "channels": options.channels,
        **choice_of(options),
        "init": options.init if is_name(options.init) else str(Path(options.init).absolute()),
        "device": options.device,
    }
    return configuration(alone, {"training": chosen, "model": settings}, FOUND_OUT)


def load_training_data(
    folder: Path, channels: int | None, hold_out: int, **choice: Any
) -> tuple[list[SampleFile], list[SampleFile]]:
    """Return the samples to train on and those to validate on: ``val/``, or every `hold_out`-th of ``train/``.

    A folder without ``train/`` holds the images to train on itself.
    """
    train = folder / "train" if (folder / "train").is_dir() else folder
    samples = open_folder(train, channels=channels, **choice)
    if (folder / "val").is_dir():
        return samples, open_folder(folder / "val", channels=len(samples[0].ends[0]), **choice)
    held = samples[::hold_out] if hold_out and len(samples) > 1 else []
    return [sample for number, sample in enumerate(samples) if not (held and number % hold_out == 0)], held
