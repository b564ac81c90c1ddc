"""A command line as the plain data that a page shows, read off its own parser.

A page names the function that makes the parser, as ``package.module:function``; nothing here knows which it is.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module

_CODES = re.compile(r"(\d+) (.*?)(?=, \d|\.?$)")


@dataclass(frozen=True)
class Option:
    """An argument: how it is written, what it does."""

    names: tuple[str, ...]
    value: str
    about: str

    @property
    def spelled(self) -> tuple[str, ...]:
        """Each name with the value that follows it."""
        return tuple(f"{name} {self.value}".strip() for name in self.names) or (self.value,)


@dataclass(frozen=True)
class Command:
    """A command: ``usage`` is the whole line, ``json`` what it prints with ``--json``."""

    name: str
    about: str
    usage: str
    arguments: tuple[Option, ...]
    options: tuple[Option, ...]
    json: str


@dataclass(frozen=True)
class Program:
    """A program, with the options that stand before its commands."""

    name: str
    about: str
    options: tuple[Option, ...]
    commands: tuple[Command, ...]
    exit_codes: tuple[tuple[str, str], ...]


def program(place: str) -> Program:
    """The program whose parser ``package.module:function`` makes."""
    module, _, function = place.partition(":")
    parser: argparse.ArgumentParser = getattr(import_module(module), function)()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    about = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    return Program(
        parser.prog,
        parser.description or "",
        tuple(_options(parser)),
        tuple(_command(name, about[name], made) for name, made in commands.choices.items()),
        tuple(_CODES.findall((parser.epilog or "").partition("Exit codes: ")[2])),
    )


def _command(name: str, about: str, parser: argparse.ArgumentParser) -> Command:
    positional = [a for a in parser._actions if not a.option_strings]
    words = [parser.prog, *map(_written, positional), "[OPTIONS]"]
    json = next((a.help or "" for a in parser._actions if "--json" in a.option_strings), "")
    arguments = tuple(Option((), _written(a), a.help) for a in positional if a.help)
    options = tuple(option for option in _options(parser) if "--json" not in option.names)
    return Command(name, about, " ".join(words), arguments, options, json.removeprefix("print JSON: "))


def _options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    for action in parser._actions:
        if action.option_strings and not isinstance(action, argparse._HelpAction):
            yield Option(tuple(action.option_strings), _value(action), action.help or "")


def _value(action: argparse.Action) -> str:
    """What follows an option: one of few words, or anything of a kind."""
    if action.nargs == 0:
        return ""
    return "|".join(map(str, action.choices)) if action.choices else str(action.metavar or "")


def _written(action: argparse.Action) -> str:
    """An argument as a line of usage has it."""
    name = str(action.metavar or action.dest)
    return {"?": f"[{name}]", "*": f"[{name}...]", "+": f"{name}..."}.get(str(action.nargs), name)
