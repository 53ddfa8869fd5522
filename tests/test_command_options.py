"""Options of the command line that are made from dataclasses."""

import argparse
import dataclasses
from dataclasses import dataclass, field
from typing import Literal

import pytest

from embedseg_ops.command import values
from embedseg_ops.command.main import COMMANDS, make_parser
from embedseg_ops.command.options import add_options, argument_help, make
from embedseg_ops.model.settings import Settings
from embedseg_ops.ops.ranges import check_fields, check_word
from embedseg_ops.train.options import Options


@dataclass(frozen=True)
class Inner:
    """Inside.

    Args:
        size: how large, in pixels.
    """

    size: int = 3


@dataclass(frozen=True)
class Outer:
    """Outside.

    Args:
        rate: how fast: 10 % is fast,
            on two lines.
        weights: which ones.
        sure: whether it is.
        maybe: whether, or None.
        limit: the most, or None.
        more: by name.
        pair: two numbers.
        inner: what is inside; None: nothing.
    """

    rate: float = 0.5
    weights: Literal["balanced"] | None = None
    sure: bool = False
    maybe: bool | None = None
    limit: int | None = 7
    more: dict[str, int] = field(default_factory=lambda: {"a": 1})
    pair: tuple[float, float] = (1.0, 2.0)
    inner: Inner | None = field(default_factory=Inner)


def parse(cls, *words):
    parser = argparse.ArgumentParser()
    add_options(parser, cls)
    return make(cls, vars(parser.parse_args(words)))


@pytest.mark.parametrize("cls", [Outer, Options, Settings])
def test_without_options_every_field_has_its_default(cls):
    skipped = {"channels", "training", "scores"} if cls is Settings else set()
    parser = argparse.ArgumentParser()
    add_options(parser, cls, skip=skipped)
    assert make(cls, vars(parser.parse_args([]))) == cls()
    spelled = parser.format_help()
    for one in dataclasses.fields(cls):
        assert (f"--{one.name.replace('_', '-')} " in spelled.replace("\n", " ")) or one.name in skipped | {
            "augmentation", "inner",
        }  # fmt: skip


def test_every_kind_of_value_is_read():
    words = '--rate 2 --weights balanced --sure --no-maybe --limit none --more {"b":2} --pair [3,4] --inner-size 9'
    assert parse(Outer, *words.split()) == Outer(2.0, "balanced", True, False, None, {"b": 2}, (3, 4), Inner(9))
    assert parse(Outer, "--weights", "none", "--no-inner") == Outer(inner=None)


@pytest.mark.parametrize(
    ("words", "message"),
    [("--rate fast", "invalid float value: 'fast'"), ("--weights equal", "invalid choice"),
     ("--limit few", "invalid int value"), ("--more [1]", "invalid JSON object value"),
     ("--pair {}", "invalid JSON list value"), ("--pair 1,2", "invalid JSON list value")],
)  # fmt: skip
def test_a_wrong_value_is_said_in_one_line(words, message, capsys):
    with pytest.raises(SystemExit):
        parse(Outer, *words.split())
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["equal", "None", 1, ["balanced"]])
def test_a_dataclass_knows_its_words(wrong):
    for word in ("balanced", None):
        check_fields(Outer(weights=word))
    with pytest.raises(ValueError, match=r'^weights must be "balanced" or None, got '):
        check_fields(Outer(weights=wrong))
    with pytest.raises(ValueError, match=r'^size must be "small", "large" or "huge", got '):
        check_word(wrong, "size", Literal["small", "large", "huge"])


def test_the_help_is_the_docstrings():
    assert argument_help(Outer)["rate"] == "how fast: 10 % is fast, on two lines"
    parser = argparse.ArgumentParser()
    add_options(parser, Outer)
    assert "10 % is fast" in parser.format_help()


def test_the_help_speaks_of_what_can_be_typed():
    parser = make_parser()
    commands = parser._subparsers._group_actions[0].choices
    assert commands.keys() == COMMANDS.keys()
    for name, command in commands.items():
        said = " ".join(command.format_help().split())
        assert f"Example: embedseg-ops {name}" in said
        for words in ("None", ":func:", "`", "(default: )", "False", "True"):
            assert words not in said, (name, words)
        for action in command._actions:
            assert action.help, action.option_strings
            named = action.metavar or action.choices or action.type in (None, values.device)
            assert named or action.nargs == 0 or not action.option_strings, action.option_strings


def test_the_examples_in_the_help_can_be_parsed():
    for name, module in COMMANDS.items():
        options = make_parser().parse_args(module.EXAMPLE.split())
        assert options.run is module.run, name


def test_what_may_be_none_can_be_given_as_none():
    assert parse(Settings, "--spacing", "none").spacing is None
    assert parse(Settings, "--spacing", "[2, 1, 1]", "--spatial-dims", "3").spacing == (2.0, 1.0, 1.0)


def test_the_postprocessing_is_given_as_json():
    assert parse(Settings, "--postprocess", '{"seed_threshold": 0.6}').postprocess == {"seed_threshold": 0.6}
