"""What each command takes, and messages about what it does not."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from kb.cli.terminal import width
from kb.errors import nearest

FORMS = ("partial", "jacobian", "vjp", "jvp", "hessian")
COMMANDS = (
    *("list", "search", "show", "latex", "diff", "derive", "code", "cheatsheet", "export", "sources", "check"),
    *("validate", "build"),
)
_WRITTEN = ("show", "latex", "diff", "derive", "cheatsheet", "export", "build")  # they write LaTeX
_PAINTED = ("list", "search", "show", "sources", "check")
ENVIRONMENTS = ("equation", "align", "none")
PAPERS = ("a3", "a4", "a5", "letter", "legal", "tabloid")
KINDS = ("definition", "update", "identity", "derivative", "objective")
# What may follow as a separate word although it begins with '-'.
_TEXT_OPTIONS = ("--expr", "--symbols")
_SUMMARY = "id, name, kind, topic, about, aliases, tags"
# The keys of what --json prints; they are stable.
_JSON = {
    "list": f"a list of objects with {_SUMMARY}",
    "search": f"a list of objects with {_SUMMARY}, the best first",
    "show": f"an object with {_SUMMARY}, symbols, define, text, latex, claims, requires, kinks, differentiate, "
    "differentiable, objective, frameworks, related, variants (id, about, of), sources, notes, references, evidence",
    "latex": "an object with id, wrt, form, latex (with --claim claim, about, refuted too; with --goal text; with "
    "--env, --where or --derivation env, label, labels, where, derivation, packages, and paper, which is all that is "
    "printed; with --format typ typst; with --macros macros, the lines that define them; with --format md markdown)",
    "diff": "an object with id, wrt, form, shape, text, latex, steps, uses, code, verdict",
    "derive": "an object with id, wrt, steps (rule, continues, because, statements, text, latex), points, numbers, "
    "difference",
    "code": "an object with id, backward, code",
    "cheatsheet": "an object with ids, format, details, text",
    "export": "an object with format, eqkb, entries (the document that is the default)",
    "sources": "a list of objects with ref, title, entry, verdict, finding, note, use, claim (name, formula), "
    "counterexample (sizes, values, found)",
    "check": "a list of objects with entry, verdict, seed, versions, key, checks",
    "validate": "an object with files, valid, faults (file, line, column, path, message)",
}
Command = Callable[[argparse.Namespace], int]


class _Refused(Exception):
    """Wrong usage; the message has been printed."""


class _Parser(argparse.ArgumentParser):
    """One clear line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see '{self.prog} --help'", file=sys.stderr)
        raise _Refused

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(c) for c in action.choices]
            what = "command" if isinstance(action, argparse._SubParsersAction) else "value"
            hint = nearest(str(value)[:60], known) or f"; choose from {', '.join(known)}"
            name = "/".join(action.option_strings)
            raise argparse.ArgumentError(None, f"{name + ': ' if name else ''}no {what} {str(value)[:60]!r}{hint}")


def parse_arguments(given: list[str]) -> argparse.Namespace | int:
    """The options, with the command to run under ``run``; an exit code where nothing is left to do."""
    words = _joined(given)
    parser = command_parser(_named_command(words))
    try:
        options = parser.parse_args(words)
    except _Refused:
        return 2
    except SystemExit as done:
        return int(done.code or 0)
    if not hasattr(options, "run"):
        parser.print_help(sys.stderr)
        return 2
    options.catalogue = [*(options.before or ()), *(options.after or ())]
    return options


def _joined(given: Iterable[str]) -> list[str]:
    """``--expr -x`` as ``--expr=-x``: a formula may begin with a minus."""
    words: list[str] = []
    for word in given:
        if words and words[-1] in _TEXT_OPTIONS:
            words[-1] = f"{words[-1]}={word}"
        else:
            words.append(word)
    return words


def _named_command(words: Iterable[str]) -> str | None:
    """The word that must be the command; None where help on all of them may be wanted."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return word
        if word == "--catalogue":
            next(rest, None)
        elif not word.startswith("--catalogue="):
            return None
    return None


def _lazy(module: str, name: str) -> Command:
    """A command whose module is loaded when it runs."""

    def run(options: argparse.Namespace) -> int:
        from importlib import import_module

        code: int = getattr(import_module(f"kb.cli.{module}"), name)(options)
        return code

    return run


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from kb import __version__

        print(f"eqkb {__version__}")
        raise SystemExit(0)


class _Help(argparse.HelpFormatter):
    """Help as wide as everything else; argparse would load much to find out the width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=width() - 2)


class _Commands:
    """The commands, or the one that is wanted: to describe all of them takes longer than to run some."""

    def __init__(self, parser: argparse.ArgumentParser, wanted: str | None) -> None:
        self._all = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser, prog=parser.prog)
        self._wanted = wanted

    def add(self, name: str, about: str) -> Any:
        """A parser for the command; something that ignores everything for a command that is not wanted."""
        if self._wanted in (None, name):
            return self._all.add_parser(name, help=about, description=about, allow_abbrev=False, formatter_class=_Help)
        return _Ignored()


class _Ignored:
    def add_argument(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def set_defaults(self, **_: Any) -> None:
        """Nothing."""


def command_parser(wanted: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, or of one; of all if there is none of that name."""
    wanted = wanted if wanted in COMMANDS else None
    parser = _Parser(
        prog="eqkb",
        description="A symbolic equation knowledge base for deep learning.",
        epilog="'eqkb COMMAND --help' describes one command. Exit codes: 0 ok, 1 a check failed, 2 wrong usage, "
        "malformed catalogue or not differentiable, 3 no such entry or symbol, 130 interrupted.",
        allow_abbrev=False,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    _add_catalogue(parser, "before")
    commands = _Commands(parser, wanted)
    _reading(commands)
    _formulas(commands)
    _working(commands)
    return parser


def _add_catalogue(parser: argparse.ArgumentParser, dest: str) -> None:
    parser.add_argument(
        "--catalogue",
        metavar="FILE",
        action="append",
        dest=dest,
        help="lay this file over the shipped catalogue (may be given several times)",
    )


def _command(commands: _Commands, name: str, module: str, about: str) -> Any:
    parser = commands.add(name, about)
    parser.set_defaults(run=_lazy(module, f"{name}_command"))
    _add_catalogue(parser, "after")
    if name in _JSON:
        parser.add_argument("--json", action="store_true", help=f"print JSON: {_JSON[name]}")
    if name in _WRITTEN:
        parser.add_argument(
            "--notation",
            metavar="N",
            default="plain",
            help="how LaTeX is written: plain (the default), dlbook (bold vectors, as in the Deep Learning book), or a "
            "file of your own that ends in .yaml",
        )
    if name in _PAINTED:
        parser.add_argument(
            "--color",
            action=argparse.BooleanOptionalAction,
            help="colours, or none; without either, on a terminal only (see NO_COLOR and FORCE_COLOR)",
        )
    return parser


def _reading(commands: _Commands) -> None:
    one = _command(commands, "list", "read", "one line per entry")
    one.add_argument("--topic", metavar="T", help="entries of this topic only")
    one.add_argument("--kind", metavar="K", choices=KINDS, help=f"entries of this kind only: {', '.join(KINDS)}")
    one = _command(
        commands, "search", "read", "entries by name, symbol, function, topic or text; forgives typing errors"
    )
    one.add_argument(
        "words",
        metavar="WORDS",
        nargs="+",
        help="all must match: names, symbols (σ, \\sigma, beta_1), functions (nn.Linear), tags, text, authors, years",
    )
    one = _command(commands, "show", "read", "a whole entry: formula, symbols, derivatives, evidence, references")
    one.add_argument("id", metavar="ID")


def _formulas(commands: _Commands) -> None:
    one = _command(commands, "latex", "formulas", "LaTeX of an entry, or of one of its derivatives")
    one.add_argument("id", metavar="ID")
    _add_derivative(one)
    one.add_argument("--claim", metavar="NAME", help="the formula of this claim instead")
    one.add_argument("--goal", action="store_true", help="of an objective: what it chooses, such as min over G of V")
    one.add_argument(
        "--env",
        choices=ENVIRONMENTS,
        default=None,
        help="equation: one number for all; align: one for each statement; none (the default): the bare formula, in "
        "\\[ and \\] before a sentence",
    )
    one.add_argument(
        "--label",
        metavar="LABEL",
        help="a \\label for the number, such as eq:softmax; the later ones of align are LABEL-2, LABEL-3 and so on",
    )
    one.add_argument(
        "--where", action="store_true", help="with a sentence on each symbol that occurs: its shape, domain and meaning"
    )
    one.add_argument(
        "--macros",
        action="store_true",
        help="with commands such as \\vect{x} and \\transpose, which a paper may define as it likes; what they mean "
        "in the notation stands before the formula",
    )
    one.add_argument(
        "--derivation",
        action="store_true",
        help="the way to the partial derivative in align*, each rule at the margin; with --env the formula comes first",
    )
    one.add_argument(
        "--format",
        choices=("latex", "typ", "md"),
        default=None,
        help="latex (the default): it takes amsmath, and amssymb for \\mathbb and \\mathfrak; KaTeX reads all but a "
        "\\label; typ: the same for Typst; md: the entry as a section of Markdown with what each symbol means",
    )
    one = _command(commands, "diff", "formulas", "a derivative of an entry, or of an expression")
    _add_subject(one)
    _add_derivative(one)
    one.add_argument(
        "--format", choices=("text", "latex", "numpy"), default=None, help="text (the default), latex, or numpy code"
    )
    one = _command(commands, "derive", "formulas", "the way to a partial derivative, rule by rule, each line checked")
    _add_subject(one)
    one.add_argument("--wrt", metavar="SYMBOL", help="differentiate by this symbol")
    one.add_argument("--format", choices=("text", "latex", "md"), default=None, help="text (the default), latex or md")
    one = _command(commands, "code", "formulas", "a Python module: the function, and its backward pass")
    one.add_argument("id", metavar="ID")
    one.add_argument("--backward", action="store_true", help="with the backward pass")


def _sheets(commands: _Commands) -> None:
    one = _command(commands, "cheatsheet", "sheets", "a cheat sheet of the selected entries, to print or to hang up")
    one.add_argument("ids", metavar="ID", nargs="*")
    one.add_argument("--topic", metavar="T", action="append", help="entries of this topic (may be given several times)")
    one.add_argument("--sheet", metavar="NAME", help="a sheet that the catalogue declares, such as attention")
    one.add_argument(
        "--format",
        choices=("tex", "pdf", "typ", "md"),
        default="tex",
        help="tex (the default); pdf, by TeX or else by Typst (eqkb[typst]); typ, for Typst; md",
    )
    one.add_argument(
        "--with",
        dest="details",
        metavar="D,...",
        help="what stands beside the formulas: derivatives, backward (the backward pass, and what it needs of the "
        "forward pass), symbols, references, evidence; or formulas, for nothing else. The default is "
        "derivatives,symbols",
    )
    one.add_argument(
        "--columns", metavar="N", type=_number(1, 6), help="columns of a page; the default suits the paper"
    )
    one.add_argument("--paper", choices=PAPERS, help=f"a4 (the default), {', '.join(p for p in PAPERS if p != 'a4')}")
    one.add_argument(
        "--landscape",
        action=argparse.BooleanOptionalAction,
        help="pages that are wider than high, or not; without either, as the sheet declares it",
    )
    one.add_argument(
        "--pages",
        metavar="N",
        type=_number(1, 100),
        help="at most so many: letters shrink, then details give way: evidence, references, symbols, derivatives, "
        "backward; stderr says which",
    )
    one.add_argument("-o", "--output", metavar="PATH", help="write here instead of stdout; pdf needs it")


def _number(least: int, most: int) -> Callable[[str], int]:
    """A whole number of that range."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def _add_subject(parser: Any) -> None:
    parser.add_argument("id", metavar="ID", nargs="?")
    parser.add_argument(
        "--expr", metavar="TEXT", help="an expression instead of an entry; ';' separates steps, '-' reads stdin"
    )
    parser.add_argument(
        "--symbols",
        metavar="TEXT",
        help="the symbols of --expr: 'W[C,d] x[d] y[N]:one_hot n:integer eta=0.1 k:label[C] f:function=tanh'",
    )


def _add_derivative(parser: Any) -> None:
    parser.add_argument(
        "--wrt", metavar="SYMBOL", action="append", help="differentiate by this symbol (vjp and jvp: by several)"
    )
    parser.add_argument(
        "--form", choices=FORMS, help=f"{', '.join(FORMS)}; the default is the partial derivative in index form"
    )


def _working(commands: _Commands) -> None:
    _sheets(commands)
    one = _command(
        commands,
        "export",
        "work",
        "the selected entries for other programs: all about them, their references or symbols, or cards to learn",
    )
    one.add_argument("ids", metavar="ID", nargs="*")
    one.add_argument("--topic", metavar="T", action="append", help="entries of this topic (may be given several times)")
    one.add_argument(
        "--format",
        choices=("json", "bibtex", "csv", "apkg", "schema"),
        default=None,
        help="json (the default): the document that build writes; bibtex: the references of the entries, each once; "
        "csv: a row for each of their symbols; apkg: a deck of Anki cards of formulas, derivatives and symbols "
        "(takes eqkb[anki]); schema: the JSON Schema of the document, without ids",
    )
    one.add_argument("-o", "--output", metavar="PATH", help="write here instead of stdout; apkg needs it")
    one = _command(commands, "sources", "sources", "the items of documents: what covers each, and what was found there")
    one.add_argument(
        "which", metavar="DOCUMENT", nargs="?", help="a document, an item (document/key), or an entry; all without it"
    )
    one = _command(commands, "check", "work", "gather the evidence; exit 1 if anything is refuted or unknown")
    one.add_argument("ids", metavar="ID", nargs="*")
    one = _command(commands, "validate", "work", "whether a catalogue is well formed: all of its faults at once")
    one.add_argument("file", metavar="FILE", nargs="?")
    one = _command(commands, "build", "work", "everything: docs, site, cheat sheets, code, JSON")
    one.add_argument("-o", "--output", metavar="PATH", default="build", help="the folder (build)")
    one.add_argument("--pdf", action="store_true", help="with the cheat sheets as PDFs, by TeX or else by Typst")
