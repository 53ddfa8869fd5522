"""``embedseg-ops models``: the models that have names, and what any model's file says of it."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from embedseg_ops.command.speech import one_line
from embedseg_ops.model.card import model_card
from embedseg_ops.model.hub import EXPECTED
from embedseg_ops.model.registry import MODELS

HELP = "list the models that have names, or show a model's card"
EXAMPLE = "models nuclei"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``models``."""
    parser.add_argument(
        "model", nargs="?", help=f"show its card: a name, a file, or {EXPECTED}; if not given, list the names"
    )


def run(options: argparse.Namespace) -> int:
    """Run ``embedseg-ops models``."""
    if options.model:
        print(*card_lines(model_card(options.model)), sep="\n")
        return 0
    width = max(map(len, MODELS))
    for name, entry in MODELS.items():
        print(f"{name:<{width}}  {entry.address or in_short(model_card(name))}")
    return 0


def in_short(card: Mapping[str, Any]) -> str:
    """Return in one line what a model is."""
    return f"{card['about']}; {card['bytes'] / 1e6:.1f} MB, {card['licence']}"


def card_lines(card: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield a card as lines, what is in its parts indented; empty parts are left out."""
    for name, value in card.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:"
            yield from card_lines(value, f"{indent}  ")
        elif value not in (None, "", {}):
            yield f"{indent}{name}: {one_line(value)}"
