"""Which numbers and words the fields of a dataclass of options take: one rule, for Python and for the command line."""

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Any

from embedseg_ops.ops.numbers import check_not_negative, check_positive, check_size

ABOVE_0 = {"above": True}  # metadata of a field that is not 0


def one_of(*values: int) -> dict[str, tuple[int, ...]]:
    """Return the metadata of a field that is one of these numbers."""
    return {"values": values}


@dataclass(frozen=True)
class Range:
    """The numbers that a field takes, besides None where its type says so.

    Args:
        kind: int or float.
        least: the smallest; 1 for whole numbers, 0 for those whose default is 0.
        above: whether a float is above 0, and not 0.
        values: if there are any, nothing else.
    """

    kind: type
    least: int = 0
    above: bool = False
    values: tuple[int, ...] = ()

    def check(self, value: Any, name: str) -> None:
        """Raise a TypeError or ValueError that names the field, for a number that it does not take."""
        if self.values:
            if value not in self.values:
                raise ValueError(f"{name} must be {' or '.join(map(str, self.values))}, got {value!r}")
        elif self.kind is int:
            check_size(value, name, self.least)
        elif self.above:
            check_positive(value, name)
        else:
            check_not_negative(value, name)


def check_fields(options: Any) -> None:
    """Raise a TypeError or ValueError that names the field of a dataclass whose number or word it does not take."""
    for field in dataclasses.fields(options):
        cls, value = type(options), getattr(options, field.name)
        kind, found, optional = field_type(cls, field.name), range_of(cls, field), may_be_none(cls, field.name)
        if typing.get_origin(kind) is typing.Literal:
            check_word(value, field.name, kind, optional)
        elif found and not (value is None and optional):
            found.check(value, field.name)


def check_word(value: Any, name: str, kind: Any, optional: bool = False) -> None:
    """Raise a ValueError that names the argument, for a word that is not of `kind`, a Literal, nor None if optional."""
    words = typing.get_args(kind)
    if not (value in words if isinstance(value, str) else value is None and optional):
        *others, last = [*(f'"{word}"' for word in words), *(["None"] if optional else [])]
        known = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"{name} must be {known}, got {value!r}")


def range_of(cls: type, field: "dataclasses.Field[Any]") -> Range | None:
    """Return the numbers that a field takes; None for one that is no number."""
    kind = field_type(cls, field.name)
    if kind not in (int, float):
        return None
    return Range(kind, 0 if field.default == 0 or kind is float else 1, **field.metadata)


def field_type(cls: type, name: str) -> Any:
    """Return the type of a field, without the None that it may also be."""
    kind = typing.get_type_hints(cls)[name]
    return next(part for part in typing.get_args(kind) if part is not type(None)) if is_union(kind) else kind


def may_be_none(cls: type, name: str) -> bool:
    """Return whether a field may be None."""
    kind = typing.get_type_hints(cls)[name]
    return is_union(kind) and type(None) in typing.get_args(kind)


def is_union(kind: Any) -> bool:
    """Return whether a type is written as ``A | B``."""
    return isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
