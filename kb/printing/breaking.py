"""LaTeX of whole statements: aligned at their relation, and broken where a line would be too wide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kb.errors import LanguageError
from kb.printing.binders import binder
from kb.printing.boxes import fenced
from kb.printing.glyphs import Context
from kb.printing.latex import TOO_DEEP, LatexPrinter, latex
from kb.printing.layout import contexts_in_time
from kb.printing.layouts import in_layout
from kb.printing.widths import width
from kb.tree import Call, Chain, Claim, Negative, Node, Step

LINE = 57.0  # about 10 cm
_INDENT = 2.0
Row = tuple[str, str]  # what stands before the place where rows align, and after it


def latex_lines(statements: Sequence[Step | Claim], context: Context | None = None, relation: str = "=") -> str:
    """Statements below each other, aligned at their relation; a single short one needs no environment.

    Where the context has a time index, a state reads as its value at the time before until a
    statement sets it, and as the new value from then on.
    """
    return aligned(flat(statement_rows(statements, context, relation)))


def statement_rows(
    statements: Sequence[Step | Claim], context: Context | None = None, relation: str = "="
) -> list[list[Row]]:
    """The rows of each of the statements, for an environment of its own; see ``latex_lines``."""
    context = context or Context()
    found: list[list[Row]] = []
    try:
        statements = [in_layout(statement, context) for statement in statements]
        for statement, seen in zip(statements, contexts_in_time(statements, context), strict=True):
            left, sign, right = LatexPrinter(seen).sides(statement, relation)
            subject, value = (
                (statement.left, statement.right) if isinstance(statement, Claim) else (None, statement.value)
            )
            found.append(broken(left, sign, right, value, seen, subject))
    except RecursionError:
        raise LanguageError(TOO_DEEP) from None
    return found


def latex_display(node: Node, context: Context | None = None) -> str:
    """LaTeX for a line of its own: an expression, or a statement in as many rows as it takes."""
    return latex_lines([node], context) if isinstance(node, (Step, Claim)) else latex(node, context)


def flat(statements: Iterable[Sequence[Row]]) -> list[Row]:
    """The rows of all statements."""
    return [row for rows in statements for row in rows]


def aligned(rows: Sequence[Row]) -> str:
    """Rows below each other, aligned; a single one needs no environment."""
    if len(rows) == 1:
        return " ".join(rows[0])
    body = " \\\\\n".join(map(row_latex, rows))
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def row_latex(row: Row) -> str:
    """A row of an environment that aligns."""
    left, right = row
    return f"{left} &{right}" if left else f"&{right}"


def broken(left: str, sign: str, right: str, value: Node, context: Context, subject: Node | None = None) -> list[Row]:
    """The rows of a statement, ``value`` being the tree of its right side and ``subject`` that of its left.

    One that is too wide breaks between terms of the right side, and at the relation where the
    left side takes most of a line.
    """
    if width(f"{left} {sign} {right}") <= LINE:
        return [(left, f"{sign} {right}")]
    alone = width(left) > LINE / 2
    room = LINE - width(sign) - (_INDENT if alone else width(left))
    printer = LatexPrinter(context)
    first, *rest = _rows(value, right, room, printer)
    before = _rows(subject, left, LINE, printer) if subject is not None else [left]
    start = [*(("", row) for row in before), ("", rf"\quad {sign} {first}")] if alone else [(left, f"{sign} {first}")]
    gap = r"\qquad" if alone else r"\quad"
    return start + [("", f"{gap} {row}") for row in rest]


def _rows(node: Node, tex: str, room: float, printer: LatexPrinter) -> list[str]:
    """Printed TeX in rows of at most ``room``, as far as there is a place to break it."""
    if width(tex) <= room:
        return [tex]
    if isinstance(node, Chain) and node.operators[0] in "+-":
        return _terms_in_rows(node, room, room - _INDENT, printer)
    for inner in _sums(node, printer.context):
        box = printer.box(inner)
        front = tex.removesuffix(fenced(box))
        if front != tex and width(front) <= room / 2:
            break
    else:
        return [tex]
    opening, closing = (r"\Bigl(", r"\Bigr)") if box.tall else ("(", ")")
    first, *rest = _terms_in_rows(inner, room - width(front) - 1, room - 2 * _INDENT - 1, printer)
    rows = [f"{front}{opening}{' ' * box.tall}{first}", *(rf"\quad {row}" for row in rest)]
    return [*rows[:-1], f"{rows[-1]}{' ' * box.tall}{closing}"]


def _terms_in_rows(chain: Chain, first: float, room: float, printer: LatexPrinter) -> list[str]:
    """As many terms in each row as it takes; a sign at the beginning of a row stays one between terms."""
    terms = printer.terms(chain, [printer.box(o) for o in chain.operands])
    rows: list[str] = []
    for operand, term in zip(chain.operands, terms, strict=True):
        joined = f"{rows[-1]} {term}" if rows else term
        if width(joined) <= (room if len(rows) > 1 else first):
            rows[-1:] = [joined]
            continue
        sign, rest = (f"{{}} {term[:2]}", term[2:]) if rows else ("", term)
        start, *others = _rows(operand, rest, room - width(sign), printer)
        rows += [sign + start, *(rf"\quad {other}" for other in others)]
    return rows


def _sums(node: Node, context: Context) -> Iterator[Chain]:
    """The sums in parentheses with which a product, a quotient or the body of a reduction may end."""
    match node:
        case Chain(operands):
            parts: Sequence[Node] = operands[::-1]
        case Negative(operand):
            parts = (operand,)
        case Call() as call if (found := binder(call, context)) is not None:
            parts = (found.body,)
        case _:
            return
    for part in parts:
        if isinstance(part, Chain) and part.operators[0] in "+-":
            yield part
        else:
            yield from _sums(part, context)
