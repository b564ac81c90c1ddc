"""The language as a whole: what is printed reads the same again, and errors point at the right character."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kb
from kb import interpreter, tree
from kb.errors import LanguageError
from kb.parser import parse_expression, parse_statement
from kb.records import read_records
from kb.vocabulary import BINDERS, FUNCTIONS

NAMES = st.sampled_from(
    ["x", "W_xi", "x_hat", "beta_1", "E", "d", "pi", "oo", "T", "e", "e5", "lambda_", "sum", "deriv"]
)
CALLED = st.sampled_from(["softmax", "f", "d", "E", "vjp", "delta", *sorted(BINDERS), *sorted(FUNCTIONS)])
NUMBERS = st.sampled_from(["0", "1", "0.5", "2.", ".5", "0.044715", "1e-8", "1.0E+3", "00", "5e0"])
leaves = st.builds(tree.Number, NUMBERS) | st.builds(tree.Name, NAMES)


def several(nodes: st.SearchStrategy[tree.Node], least: int = 1) -> st.SearchStrategy[tuple[tree.Node, ...]]:
    return st.lists(nodes, min_size=least, max_size=3).map(tuple)


@st.composite
def chains(draw: st.DrawFn, nodes: st.SearchStrategy[tree.Node]) -> tree.Chain:
    """Operators of one precedence, as the parser collects them: a sum does not begin with a sum."""
    signs = draw(st.sampled_from([("+", "-"), ("*", "/", "//", "%", "@")]))
    operators = tuple(draw(st.lists(st.sampled_from(signs), min_size=1, max_size=3)))
    operands = draw(st.lists(nodes, min_size=len(operators) + 1, max_size=len(operators) + 1))
    return tree.Chain(tuple(operands), operators)


def conditions(nodes: st.SearchStrategy[tree.Node]) -> st.SearchStrategy[tree.Node]:
    compared = st.builds(tree.Comparison, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), nodes, nodes)
    return st.recursive(
        compared,
        lambda inner: (
            st.builds(tree.Logic, st.sampled_from(["and", "or"]), several(inner, 2)) | st.builds(tree.Not, inner)
        ),
        max_leaves=4,
    )


@cache
def forms(nodes: st.SearchStrategy[tree.Node]) -> tuple[st.SearchStrategy[tree.Node], ...]:
    return (
        chains(nodes),
        st.builds(tree.Negative, nodes),
        st.builds(tree.Power, nodes, nodes),
        st.builds(tree.Element, nodes, several(nodes)),
        st.builds(tree.Transpose, nodes),
        st.builds(tree.Call, CALLED, several(nodes, 0), st.booleans()),
        st.builds(tree.Prime, st.sampled_from(["f", "tanh"]), several(nodes)),
        st.builds(tree.Call, CALLED, st.tuples(nodes, nodes, conditions(nodes))),
        st.builds(tree.Cases, nodes, conditions(nodes), nodes),
        st.builds(tree.Array, several(nodes)),
    )


@st.composite
def larger(draw: st.DrawFn, nodes: st.SearchStrategy[tree.Node]) -> tree.Node:
    """One of the forms; not ``one_of``, whose description of itself grows with every level."""
    return draw(draw(st.sampled_from(forms(nodes))))


trees = st.recursive(leaves, larger, max_leaves=25)
small_trees = st.recursive(leaves, larger, max_leaves=5)
targets = st.builds(tree.Name, NAMES) | st.builds(tree.Element, st.builds(tree.Name, NAMES), several(leaves))
statements = st.builds(tree.Step, several(targets), trees) | st.builds(
    tree.Claim, trees, st.sampled_from(["==", ">=", "<="]), trees
)


@given(trees)
def test_what_a_tree_prints_parses_to_the_same_tree(node: tree.Node) -> None:
    text = str(node)
    again = parse_expression(text)
    assert again == node
    assert str(again) == text


@given(statements)
def test_what_a_statement_prints_parses_to_the_same_statement(node: tree.Step | tree.Claim) -> None:
    again = parse_statement(str(node))
    assert again == node
    assert str(again) == str(node)


@settings(max_examples=30)
@given(small_trees, small_trees)
def test_blanks_and_parentheses_say_nothing(left: tree.Node, right: tree.Node) -> None:
    tight = parse_expression(f"({left})*({right})")
    wide = parse_expression(f" (\n({left})  )\n *\t(  {right})")
    assert tight == wide


def formulas() -> list[tuple[str, str]]:
    """Every formula of the shipped catalogue, with where it stands."""
    found = []
    for entry in read_records().values():
        texts = {f"define[{n}]": text for n, text in enumerate(entry.define)}
        texts |= {f"claims.{claim.name}": claim.text for claim in entry.claims}
        texts |= {f"requires[{n}]": text for n, text in enumerate(entry.requires)}
        texts |= {f"kinks[{n}]": text for n, text in enumerate(entry.kinks)}
        for symbol in entry.symbols:
            texts |= {f"{symbol.name}.shape[{n}]": text for n, text in enumerate(symbol.shape)}
            texts |= {f"{symbol.name}.instance": symbol.instance} if symbol.instance else {}
        found += [(f"{entry.id}.{place}", text) for place, text in texts.items()]
    return found


def parse_any(text: str) -> tree.Node:
    try:
        return parse_statement(text)
    except LanguageError:
        return parse_expression(text)


def test_every_formula_of_the_catalogue_reads_the_same_after_printing() -> None:
    seen = 0
    for place, text in formulas():
        node = parse_any(text)
        assert parse_any(str(node)) == node, place
        seen += 1
    assert seen > 100


@given(st.text(max_size=40) | st.text(alphabet="xyi01 +-*/@%().,[]=<>!TEdsumif~\n", max_size=60))
def test_any_text_parses_or_is_refused_inside_the_text(text: str) -> None:
    for parse in (parse_expression, parse_statement):
        try:
            node = parse(text)
        except LanguageError as error:
            assert 0 <= error.start <= len(text)
            assert error.message
        else:
            assert parse(str(node)) == node


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("y = x  # größer, 𝒩\n + z^2", "^"),
        ("y = x + # αβγ\n   `", "`"),
        ("y = (x # ∑∑\n + 2j)", "2"),
        ("y = x + é", "é"),
        ("y = 𝒩(x)", "𝒩"),
    ],
)
def test_a_refused_character_is_found_after_other_alphabets(text: str, wrong: str) -> None:
    with pytest.raises(LanguageError) as caught:
        parse_statement(text)
    assert caught.value.start == text.rindex(wrong)


CATALOGUE = """\
# Ein Verzeichnis mit Umlauten: äöüß 𝒩
first:
  name: "Größe 𝒩𝒩"
  topic: tests
  about: 'Straße ∑'
  symbols: {x: {shape: [n], about: "Länge 𝒩"}, y: {role: output, about: ∑}}
  define: %s
"""


@pytest.mark.parametrize(
    "written",
    [
        "y = sum(x[i]*missing, i)",
        '"y = sum(x[i]*missing, i)"',
        "'y = sum(x[i]*missing, i)'",
        "['q = 2  # Größe', 'y = sum(x[i]*missing, i)']",
        "# ∑𝒩\n    y = sum(x[i]*missing, i)",
        ">-\n    y = sum(x[i]\n    *missing, i)",
        "|\n    y = sum(x[i]*  # ∑𝒩\n    missing, i)",
        '"y = sum(x[i]\\u002Amissing, i)"',
        "\n    - q = 2  # Größe\n    - y = sum(x[i]*missing, i)",
    ],
)
def test_a_fault_of_a_file_stands_at_its_line_and_column(tmp_path: Path, written: str) -> None:
    path = tmp_path / "größe.yaml"
    text = CATALOGUE % written
    path.write_text(text, encoding="utf-8")
    faults = kb.validate(path)
    before = text[: text.index("missing")]
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    places = [(f.location.line, f.location.column) for f in faults if f.location and "missing" in f.message]
    assert places == [(line, column)], "\n".join(map(str, faults))


@pytest.mark.parametrize(
    ("text", "symbols", "line", "column"),
    [
        ("u = x*2  # Größe 𝒩\ny = u*missing", "x", 2, 7),
        ("u = x*2;y = u*missing", "x", 1, 15),
        ("  x +\tmissing", "x", 1, 7),
    ],
)
def test_a_fault_of_a_typed_expression_stands_at_its_line_and_column(
    text: str, symbols: str, line: int, column: int
) -> None:
    with pytest.raises(kb.CatalogueError) as caught:
        kb.parse(text, symbols)
    (fault,) = caught.value.faults
    assert fault.location
    assert (fault.location.line, fault.location.column) == (line, column)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_code_interpreter_and_derivative_of_every_function_agree(name: str) -> None:
    equation = kb.parse(f"y = {name}(x)", "x")
    for x in (0.3, 0.75):
        values = interpreted(equation, x)
        assert equation.lambdify()(x) == pytest.approx(float(values), rel=1e-12)
        if FUNCTIONS[name].derivative is not None:
            with mpmath.workdps(30):
                step = mpmath.mpf(10) ** -10
                slope = (interpreted(equation, x + step) - interpreted(equation, x - step)) / (2 * step)
            assert equation.vjp().lambdify()(x)["x"] == pytest.approx(float(slope), rel=1e-12)
            assert float(equation.derivative("x").expr.subs(equation.symbols["x"].sympy, x)) == pytest.approx(
                float(slope), rel=1e-12
            )
        else:
            with pytest.raises(kb.NotDifferentiable):
                equation.vjp().lambdify()


def interpreted(equation: kb.Equation, x: object) -> mpmath.mpf:
    """The value at a point by the reference interpreter."""
    found = interpreter.run(equation.entry, equation.programs.entries.__getitem__, {"x": x}, {})
    return found["y"].data[0]
