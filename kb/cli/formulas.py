"""latex, diff, derive and code: formulas, their derivatives and their code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kb.answers import claim_answer, derivative_answer, goal_answer, latex_answer, line
from kb.cli.breaking import statement_lines
from kb.cli.read import catalogue_of, stored_evidence
from kb.cli.terminal import MOST_COLUMNS, on_terminal, paint, print_json, width
from kb.errors import EqkbError
from kb.parser import MAX_CHARACTERS

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.definitions import Goal
    from kb.equation import Derivative, Equation
    from kb.model import NamedClaim

_SEVERAL = ("vjp", "jvp")


def latex_command(options: argparse.Namespace) -> int:
    """``eqkb latex``."""
    catalogue = catalogue_of(options)
    if options.macros:
        catalogue = catalogue.written_in(catalogue.profile.with_macros())
    equation = catalogue[options.id]
    if not options.wrt and options.form:
        raise EqkbError("--form says which derivative; add --wrt SYMBOL, or leave it out")
    if options.claim is not None and options.wrt:
        raise EqkbError("--claim names a formula, and so does --wrt; leave one of them out")
    if options.format == "md":
        return _print_section(catalogue, equation, options)
    if options.goal:
        _refuse_beside(options, "--goal prints a formula by itself; leave out {}, or --goal", without=("macros",))
    claim = equation.claim(options.claim) if options.claim is not None else None
    derivative = _derivative(equation, options) if options.wrt else None
    if options.goal:
        answer = goal_answer(equation, _goal(equation))
    else:
        answer = claim_answer(equation, claim) if claim else latex_answer(equation, derivative, options.wrt or [])
    if any((options.env, options.label is not None, options.where, options.derivation)):
        answer |= _for_a_paper(equation, derivative, claim, options)
    if options.format == "typ":
        return _print_typst(answer, options)
    macros = catalogue.profile.definitions(answer.get("paper", answer["latex"]))
    if options.json:
        print_json(answer | ({"macros": macros.splitlines()} if options.macros else {}))
    else:
        print(answer.get("paper", f"{macros}{answer['latex']}"))
    return 0


def _goal(equation: Equation) -> Goal:
    """What an objective chooses. Raises EqkbError for an entry of another kind."""
    if equation.goal is None:
        raise EqkbError(f"{equation.id} is no objective, so that it has no goal; leave out --goal")
    return equation.goal


def _print_typst(answer: dict[str, Any], options: argparse.Namespace) -> int:
    """The formula between blanks and dollar signs, which Typst displays."""
    from kb.printing.typst import typst

    message = "--format typ prints the bare formula for Typst; leave out {}, or --format"
    _refuse_beside(options, message, without=("wrt", "claim"))
    made = f"$ {typst(answer['latex'])} $"
    if options.json:
        print_json(answer | {"typst": made})
    else:
        print(made)
    return 0


def _for_a_paper(
    equation: Equation, derivative: Derivative | None, claim: NamedClaim | None, options: argparse.Namespace
) -> dict[str, Any]:
    """The formula in an environment, and what is wanted around it; nothing where the bare formula is wanted."""
    from kb.paper import Fragment, Subject, Wanted

    subject = Subject(equation, derivative, claim)
    wanted = Wanted(options.env or "none", options.label, options.where, options.derivation)
    if wanted.is_bare:
        return {}
    if not wanted.derivation:
        return Fragment(subject, wanted).as_json()
    if derivative is None:
        raise EqkbError("--derivation shows the way to a derivative; say to which with --wrt SYMBOL")
    if derivative.form != "partial" or len(derivative.wrt) > 1:
        raise EqkbError("--derivation leads to the partial derivative by one symbol; leave out --form, or --derivation")
    return Fragment(subject, wanted, equation.derivation(derivative.wrt[0])).as_json()


def _print_section(catalogue: Catalogue, equation: Equation, options: argparse.Namespace) -> int:
    """The entry as one section of Markdown."""
    message = "--format md prints the entry itself as a section of Markdown; leave out {}, or --format"
    _refuse_beside(options, message, without=("where",))
    if options.goal:
        raise EqkbError(message.format("--goal"))
    from generators.markdown import section
    from generators.views import views

    made = section(views(catalogue, [equation.id])[0])
    if options.json:
        print_json(latex_answer(equation, None, []) | {"markdown": made})
    else:
        print(made, end="")
    return 0


def _refuse_beside(options: argparse.Namespace, message: str, without: Sequence[str]) -> None:
    """Raise EqkbError for an option that says something about another formula, but for those ``without``."""
    for name in ("wrt", "claim", "env", "label", "where", "derivation", "macros"):
        if getattr(options, name) not in (None, False, []) and name not in without:
            raise EqkbError(message.format(f"--{name}"))


def code_command(options: argparse.Namespace) -> int:
    """``eqkb code``."""
    equation = catalogue_of(options)[options.id]
    source = equation.code(backward=options.backward)
    if options.json:
        print_json({"id": equation.id, "backward": options.backward, "code": source})
    else:
        print(line(source), end="")
    return 0


def diff_command(options: argparse.Namespace) -> int:
    """``eqkb diff``."""
    equation = _subject(options)
    _require_symbol(equation, options)
    derivative = _derivative(equation, options)
    if options.json:
        if options.format is not None:
            raise EqkbError("--json holds every format; leave out --format")
        print_json(derivative_answer(derivative, stored_evidence(derivative.equation)))
    elif options.format == "latex":
        print(derivative.latex())
    elif options.format == "numpy":
        print(derivative.code(), end="")
    else:
        _print_text(derivative.text())
        _print_verified(equation, bool(options.expr))
    return 0


def derive_command(options: argparse.Namespace) -> int:
    """``eqkb derive``."""
    equation = _subject(options)
    _require_symbol(equation, options)
    found = equation.derivation(options.wrt)
    if options.json:
        if options.format is not None:
            raise EqkbError("--json holds every format; leave out --format")
        print_json(found.as_json())
    else:
        text = found.text(width()) if on_terminal() else found.text()
        print({"latex": found.latex, "md": found.markdown}.get(options.format, lambda: text)())
    return 0


def _require_symbol(equation: Equation, options: argparse.Namespace) -> None:
    if not options.wrt:
        names = ", ".join(equation.differentiable) or "none: it has no real argument"
        raise EqkbError(f"say by which symbol with --wrt SYMBOL; there are {names}")


def _print_text(text: str) -> None:
    """Statements on lines that fit the terminal; each on a line of its own for other programs."""
    for statement in text.splitlines():
        print("\n".join(statement_lines(statement, width(MOST_COLUMNS))) if on_terminal() else statement)


def _print_verified(equation: Equation, is_typed: bool) -> None:
    """The evidence, where there is some; nothing is claimed where there is none."""
    found = None if is_typed else stored_evidence(equation)
    if found is not None:
        style = {"verified": "green", "refuted": "red"}.get(found.verdict, "yellow")
        print(paint(found.summary(), style))


def _subject(options: argparse.Namespace) -> Equation:
    """The entry or the typed expression."""
    if (options.id is None) == (options.expr is None):
        both = "not both" if options.id is not None else "for example --expr 'x**2' --symbols x"
        raise EqkbError(f"name an entry, or give an expression with --expr; {both}")
    catalogue = catalogue_of(options)
    if options.expr is None:
        if options.symbols is not None:
            raise EqkbError("--symbols belongs to --expr; an entry declares its own symbols")
        return catalogue[options.id]
    from kb.typed import parse

    text = options.expr
    if text == "-":
        # One character more than the limit, so that a longer text is refused and not cut.
        text = sys.stdin.read(MAX_CHARACTERS + 1)
    return parse(text, options.symbols or "", catalogue)


def _derivative(equation: Equation, options: argparse.Namespace) -> Derivative:
    form = options.form or "partial"
    wrt = list(dict.fromkeys(options.wrt))
    if form in _SEVERAL:
        return equation.vjp(wrt) if form == "vjp" else equation.jvp(wrt)
    if len(wrt) > 1:
        raise EqkbError(f"the form {form} takes one symbol; only {' and '.join(_SEVERAL)} take several")
    make = {"partial": equation.derivative, "jacobian": equation.jacobian, "hessian": equation.hessian}
    return make[form](wrt[0])
