"""Command-line options made from dataclasses and functions: names, types, defaults and help are written there alone."""

import argparse
import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from embedseg_ops.command.values import number, one_of, whole
from embedseg_ops.ops.ranges import Range, field_type, may_be_none, range_of

Made = TypeVar("Made")


def add_options(
    parser: argparse._ActionsContainer, cls: type, skip: Collection[str] = (), prefix: str = "",
    absent: Collection[str] = (),
) -> None:  # fmt: skip
    """Give a parser one option for each field of a dataclass; the help is what its docstring says of the field.

    ``learning_rate`` becomes ``--learning-rate``. A truth value becomes ``--NAME`` and ``--no-NAME``; a field that may
    be None takes the word ``none``; a dict or a tuple takes JSON; the fields of a nested dataclass carry its name
    before their own, and ``--no-NAME`` makes it None. Numbers are those of `embedseg_ops.ops.ranges.range_of`.

    Args:
        parser: receives the options.
        cls: a dataclass whose fields have defaults and whose docstring has an ``Args:`` section.
        skip: fields without an option.
        prefix: before every name, as Python spells it.
        absent: fields that are not in the namespace unless they are given.
    """
    help_of = argument_help(cls)
    for field in dataclasses.fields(cls):
        if field.name in skip:
            continue
        name = prefix + field.name
        wanted = field_type(cls, field.name)
        if dataclasses.is_dataclass(wanted):
            assert isinstance(wanted, type)
            parser.add_argument(
                spelled(f"no_{name}"), action="store_true", help=help_of[field.name].removeprefix("None: ")
            )
            add_options(parser, wanted, prefix=f"{name}_")
        else:
            default = default_of(field)
            shown = "" if default == "" else f" (default: {in_words(default)})"
            text = f"{for_the_terminal(help_of[field.name])}{shown}".replace("%", "%%")
            found = range_of(cls, field)
            reading = how_to_read(reader_of(found) if found else wanted, may_be_none(cls, field.name))
            kept = argparse.SUPPRESS if field.name in absent else default
            parser.add_argument(spelled(name), default=kept, help=text, **reading)


def add_parameters(
    parser: argparse._ActionsContainer, function: Callable[..., Any], keywords: type, default: str,
    aliases: Mapping[str, str],
) -> None:  # fmt: skip
    """Give a parser one option for each keyword of a function; what is not given is not in the namespace.

    Args:
        parser: receives the options.
        function: its docstring says what each keyword is.
        keywords: a TypedDict of names and types.
        default: what holds without the option, in words.
        aliases: second names of options.
    """
    help_of, hints = argument_help(function), typing.get_type_hints(keywords)
    for name in hints:
        names = [spelled(name), *([aliases[name]] if name in aliases else [])]
        reading = how_to_read(field_type(keywords, name), may_be_none(keywords, name))
        text = f"{for_the_terminal(help_of[name], hints)} (default: {default})".replace("%", "%%")
        parser.add_argument(*names, dest=name, default=argparse.SUPPRESS, help=text, **reading)


def given_parameters(options: argparse.Namespace, keywords: type) -> dict[str, Any]:
    """Return the keywords that were given as options of :func:`add_parameters`."""
    return {name: getattr(options, name) for name in typing.get_type_hints(keywords) if hasattr(options, name)}


def make(cls: type[Made], given: dict[str, Any], prefix: str = "") -> Made:
    """Return the dataclass that the options of :func:`add_options` describe; what is not given has its default."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        name = prefix + field.name
        wanted = field_type(cls, field.name)
        if dataclasses.is_dataclass(wanted):
            assert isinstance(wanted, type)
            values[field.name] = None if given.get(f"no_{name}") else make(wanted, given, f"{name}_")
        elif name in given:
            values[field.name] = given[name]
    return cls(**values)


def argument_help(cls: Callable[..., Any]) -> dict[str, str]:
    """Return what the ``Args:`` section of a docstring says of each argument, in one line each."""
    section = inspect.getdoc(cls).partition("Args:\n")[2].partition("\n\n")[0]  # type: ignore[union-attr]
    entries = re.split(r"^    (\w+): ", section, flags=re.MULTILINE)[1:]
    return {
        name: re.sub(r":\w+:(?=`)|`", "", " ".join(text.split())).removesuffix(".")
        for name, text in zip(entries[::2], entries[1::2], strict=True)
    }


def for_the_terminal(text: str, names: Collection[str] = ()) -> str:
    """Return what a docstring says as somebody would type it: ``none`` for None, and options for other arguments."""
    for name in names:
        text = re.sub(rf"\b{name}\b", spelled(name), text) if "_" in name else text
    return re.sub(r"\bNone\b", "none", text)


def in_words(default: Any) -> str:
    """Return a default as it is typed."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, dict | tuple):
        return json.dumps(default)
    return "none" if default is None else str(default)


def spelled(name: str) -> str:
    """Return the command line's spelling of a Python name."""
    return "--" + name.replace("_", "-")


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """Return the default of a dataclass's field."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def reader_of(found: Range) -> Callable[[str], Any]:
    """Return what reads the numbers that a field takes."""
    if found.values:
        return one_of(*found.values)
    return whole(found.least) if found.kind is int else number(above=found.above)


def how_to_read(wanted: Any, optional: bool) -> dict[str, Any]:
    """Return the keywords of ``add_argument`` that read a value of this type."""
    if wanted is bool:
        return {"action": argparse.BooleanOptionalAction}
    origin = dict if typing.is_typeddict(wanted) else typing.get_origin(wanted) or wanted
    if origin in (dict, tuple):
        return {"type": or_none(json_of(origin)) if optional else json_of(origin), "metavar": "JSON"}
    if typing.get_origin(wanted) is typing.Literal:
        words = [*typing.get_args(wanted), *(["none"] if optional else [])]
        return {"type": word_or_none, "choices": [None if word == "none" else word for word in words],
                "metavar": "{" + ",".join(words) + "}"}  # fmt: skip
    metavar = "TEXT" if wanted is str else wanted.__name__.upper()
    return {"type": or_none(wanted) if optional else wanted, "metavar": metavar}


def word_or_none(text: str) -> str | None:
    """Read a word; ``none`` is None."""
    return None if text == "none" else text


def or_none(kind: Any) -> Any:
    """Return a reader of `kind` that also knows the word ``none``."""

    def read(text: str) -> Any:
        return None if text == "none" else kind(text)

    read.__name__ = kind.__name__  # argparse says it in its errors
    return read


def json_of(kind: type) -> Any:
    """Return a reader of JSON that makes a dict or a tuple."""

    def read(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, dict if kind is dict else list):
            raise ValueError(text)
        return kind(value)

    read.__name__ = f"JSON {'object' if kind is dict else 'list'}"
    return read
