"""The command line: ``embedseg-ops demo | train | predict | evaluate``."""

import argparse
import sys
from collections.abc import Callable, Sequence

from embedseg_ops.command import demo, evaluate, predict, train
from embedseg_ops.library import build_info
from embedseg_ops.version import __version__

COMMANDS = {"demo": demo, "train": train, "predict": predict, "evaluate": evaluate}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status: 0, or 2 for wrong files, options or devices, said in one line."""
    options = make_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
    except (ValueError, FileNotFoundError) as error:
        print(f"embedseg-ops: {error}", file=sys.stderr)
        return 2
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; every command's module says its help and its options."""
    parser = argparse.ArgumentParser(prog="embedseg-ops", description="Instance segmentation with pixel embeddings.")
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def version() -> str:
    """Return the versions of this package, of torch and of nvcc, and the instruction set in use, in one line."""
    import torch

    info = build_info()
    cuda = f"CUDA {info['cuda']}" if info["cuda"] else "no CUDA kernels"
    return f"embedseg-ops {__version__}, torch {torch.__version__}, {cuda}, SIMD {info['simd']}"
