"""The command line: ``embedseg-ops demo | train | predict | evaluate | export | models | serve``."""

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from embedseg_ops.command import demo, evaluate, export, models, predict, serve, train
from embedseg_ops.command.batch import ENDS_ALL
from embedseg_ops.command.config import with_configuration
from embedseg_ops.command.speech import is_out_of_memory, one_line, reason, say_once, warnings_in_one_line
from embedseg_ops.data.processes import is_first_to_say
from embedseg_ops.library import build_info
from embedseg_ops.version import __version__

COMMANDS = {
    "demo": demo, "train": train, "predict": predict, "evaluate": evaluate, "export": export, "models": models,
    "serve": serve,
}  # fmt: skip
STATUS = (
    "Exit status: 0 all done; 1 some files failed, or the work could not be finished; 2 wrong options, files or "
    "devices, and nothing was done; 130 interrupted. Every error is one line."
)
MORE = f"embedseg-ops COMMAND --help lists the options of a command, with an example. {STATUS}"


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, and does not guess at shortened options."""

    def __init__(self, **options: Any):
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """End the program with exit status 2."""
        line = f"{self.prog}: {one_line(message)}; see {self.prog} --help\n"
        self.exit(2, line if is_first_to_say(line) else None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status (see `STATUS`)."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser = make_parser()
    debug = "--debug" in given
    try:
        if given[:1] == ["train"]:
            given = ["train", *with_configuration(given[1:], train.add_arguments)]
        options = parser.parse_args(given)
        run: Callable[[argparse.Namespace], int] = options.run
        with warnings_in_one_line(), ending_as_an_interrupt():
            return run(options)
    except KeyboardInterrupt:
        say_once("interrupted; the same command goes on from here")
        return 130
    except BrokenPipeError:  # such as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        say_once(reason(error))
        is_wrong = isinstance(error, ValueError | ImportError | OSError) and not is_out_of_memory(error)
        is_full = isinstance(error, OSError) and error.errno in ENDS_ALL
        return 2 if is_wrong and not is_full else 1


@contextmanager
def ending_as_an_interrupt() -> Iterator[None]:
    """Let a request to end (SIGTERM, as a cluster sends it) do what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; every command's module says its help and its options."""
    parser = Parser(prog="embedseg-ops", description="Instance segmentation with pixel embeddings.", epilog=MORE)
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        epilog = f"Example: embedseg-ops {module.EXAMPLE} · {STATUS}"
        command = commands.add_parser(name, help=module.HELP, description=f"{module.HELP}.", epilog=epilog)
        module.add_arguments(command)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.set_defaults(run=module.run)
    return parser


def version() -> str:
    """Return the versions of this package, of torch and of nvcc, and the instruction set in use, in one line."""
    import torch

    info = build_info()
    cuda = f"CUDA {info['cuda']}" if info["cuda"] else "no CUDA kernels"
    return f"embedseg-ops {__version__}, torch {torch.__version__}, {cuda}, SIMD {info['simd']}"
