"""Options of ``train`` from a TOML file, and the file that a run writes of those it used."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import tomli_w

from embedseg_ops.command.options import spelled
from embedseg_ops.command.outputs import OURS
from embedseg_ops.version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GROUPS = ("training", "model")  # tables that only put options together
NOT_IN_FILES = ("--config", "--help", "--debug", "--overwrite")


class Asking(argparse.ArgumentParser):
    """A parser that raises its errors."""

    def error(self, message: str) -> NoReturn:
        """Raise a ValueError."""
        raise ValueError(message)


def with_configuration(given: list[str], add_arguments: Callable[[argparse.ArgumentParser], None]) -> list[str]:
    """Return the arguments of ``train``, after those of the file that ``--config`` names: the last one counts.

    Args:
        given: the command line, without the command.
        add_arguments: describes the options.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: see `arguments_of`.
    """
    finder = Asking(add_help=False, allow_abbrev=False)
    finder.add_argument("--config")
    try:
        name = finder.parse_known_args(given)[0].config
    except ValueError:  # --config without a name: the real parser says so
        return given
    if name is None or {"-h", "--help"} & set(given):
        return given
    parser = Asking(allow_abbrev=False)
    add_arguments(parser)
    of_file, data = arguments_of(Path(name), parser)
    complete = [*of_file, *given]
    try:
        parser.parse_known_args(complete)
    except ValueError as error:
        if data is not None and "required: data" in str(error):
            return [*complete, data]
    return complete


def arguments_of(path: Path, parser: argparse.ArgumentParser) -> tuple[list[str], str | None]:
    """Return what a file says as options of the command line, and the folder of data if it names one.

    Keys are the options' names with ``_`` for ``-``; the tables ``training`` and ``model`` group them, others carry
    their name before their keys': ``[training.augmentation]`` with ``flip`` is ``--augmentation-flip``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no TOML, or keys that are no option, each of which is named.
    """
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except ValueError as error:  # of TOML and of UTF-8
        raise ValueError(f"{path}: no TOML: {error}") from error
    data = content.pop("data", None)
    for group in GROUPS:
        inner = content.pop(group, {})
        if not isinstance(inner, dict):
            raise ValueError(f"{path}: {group} is {inner!r}, expected a table, [{group}]")
        content |= inner
    actions = {name: action for action in parser._actions for name in action.option_strings}
    known = {name: action for name, action in actions.items() if name not in NOT_IN_FILES}
    unknown: list[str] = []
    arguments = list(spelled_out(content, "", known, unknown))
    if unknown:
        raise ValueError(f"{path}: unknown {'key' if len(unknown) == 1 else 'keys'} {', '.join(sorted(unknown))}")
    return arguments, None if data is None else str(data)


def spelled_out(
    content: Mapping[str, Any], prefix: str, known: Mapping[str, argparse.Action], unknown: list[str]
) -> Iterator[str]:
    """Yield options of the command line for keys and values; add keys that are no option to `unknown`."""
    for key, value in content.items():
        name = spelled(prefix + key)
        action = known.get(name)
        if value is False and spelled(f"no_{prefix}{key}") in known:
            yield spelled(f"no_{prefix}{key}")
        elif isinstance(value, dict) and action is None:
            yield from spelled_out(value, f"{prefix}{key}_", known, unknown)
        elif action is None:
            unknown.append(prefix + key)
        elif isinstance(value, bool) and action.nargs == 0:
            yield from [name] if value else []
        else:
            yield f"{name}={json.dumps(value) if isinstance(value, dict | list | bool) else value}"


def configuration(options: Mapping[str, Any], groups: Mapping[str, Any], skip: Sequence[str]) -> bytes:
    """Return a file of the options of a run, which `arguments_of` reads.

    Args:
        options: those that stand alone; None is left out.
        groups: a dataclass for each table.
        skip: fields without an option.
    """
    content = {name: value for name, value in options.items() if value is not None}
    for name, group in groups.items():
        content[name] = {
            field.name: value
            for field in dataclasses.fields(group)
            if field.name not in skip and (value := writable(field, getattr(group, field.name))) is not None
        }
    return f"# {OURS.decode()}{__version__}\n{tomli_w.dumps(content)}".encode("utf-8", "backslashreplace")


def writable(field: "dataclasses.Field[Any]", value: Any) -> Any:
    """Return a field's value as TOML has it; None if it need not be written."""
    if value is None:
        if dataclasses.is_dataclass(field.default_factory):
            return False
        return None if field.default is None else "none"
    if dataclasses.is_dataclass(value):
        return {one.name: writable(one, getattr(value, one.name)) for one in dataclasses.fields(value)}
    return list(value) if isinstance(value, tuple) else value
