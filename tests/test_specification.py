"""The head comment of the catalogue says what is so: its examples run, its tables are complete."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml

import kb
from kb import interpreter, model, parser, tree
from kb.records import shipped_path
from kb.vocabulary import ARRAY_FUNCTIONS, BINDERS, CONSTANTS, DOMAINS, FUNCTIONS, OPERATORS

WAITING = {"argmax", "argmin"}
"""Words that are reserved and do not work yet; the comment does not promise them."""
SECTIONS = ("documents", "sheets")
FILLED_IN = "  name: Example\n  topic: examples\n  about: An example.\n"


@dataclass
class Example:
    """One entry of the comment, its values, and what is refused in its place."""

    id: str
    lines: list[str]
    values: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def text(self, define: str | None = None) -> str:
        """The entry as YAML, complete; with another definition if one is given."""
        if define is None:
            filled_in = "" if self.id in SECTIONS else FILLED_IN
            return "\n".join([self.lines[0], filled_in, *self.lines[1:]]) + "\n"
        data = yaml.load("\n".join(self.lines), Loader=yaml.BaseLoader)[self.id]
        kept = {key: value for key, value in data.items() if key not in ("define", "claims")}
        changed = {"name": "Example", "topic": "examples", "about": "An example.", **kept, "define": define}
        return plain_yaml({self.id: changed})


def plain_yaml(data: Mapping[str, Any]) -> str:
    """YAML in which numbers that were read as text are numbers again."""
    text = yaml.safe_dump(data, sort_keys=False, width=10_000)
    return re.sub(r"(?<=: )'(-?[0-9][0-9.eE+-]*)'", r"\1", text)


def comment_lines() -> list[str]:
    """The head comment without its marks."""
    lines = []
    for line in shipped_path().read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return lines


def read_examples() -> dict[str, Example]:
    """The examples of the comment by id, in order."""
    examples: list[Example] = []
    for line in comment_lines():
        mark, _, rest = line.partition(" ")
        if mark == "|" and rest and not rest.startswith(" "):
            examples.append(Example(rest.removesuffix(":"), [rest]))
        elif mark == "|":
            examples[-1].lines.append(rest)
        elif mark == ">":
            examples[-1].values.append(rest)
        elif mark == "!":
            examples[-1].refused.append(rest)
    return {example.id: example for example in examples}


EXAMPLES = read_examples()
VALUES = [(e.id, text) for e in EXAMPLES.values() for text in e.values]
REFUSED = [(e.id, text) for e in EXAMPLES.values() for text in e.refused]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> kb.Catalogue:
    """All examples in one file, through the loader that users' files go through."""
    path = tmp_path_factory.mktemp("specification") / "examples.yaml"
    path.write_text("".join(example.text() for example in EXAMPLES.values()), encoding="utf-8")
    faults = kb.validate(path)
    assert not faults, "\n".join(map(str, faults))
    return kb.load_catalogue(path)


def read_value(text: str) -> tuple[dict[str, Any], dict[str, Any] | Any]:
    """``id(x: 1) gives y: 2`` as the arguments and the results."""
    match = re.fullmatch(r"(\w+)\((.*)\) gives (.*)", text)
    assert match, text
    arguments, results = yaml.safe_load("{" + match[2] + "}"), match[3]
    return arguments, yaml.safe_load("{" + results + "}" if re.match(r"\w+: ", results) else results)


def results_of(equation: kb.Equation, expected: Any) -> dict[str, Any]:
    """The expected results by the name of the output."""
    found = expected if isinstance(expected, dict) else {equation.outputs[0]: expected}
    assert list(found) == list(equation.outputs), "every output has an expected value"
    return found


def interpreted(equation: kb.Equation, given: Mapping[str, Any]) -> dict[str, interpreter.Array]:
    """All values by the reference interpreter."""
    arguments = {name: value for name, value in given.items() if name in equation.symbols}
    sizes = {name: value for name, value in given.items() if name not in equation.symbols}
    return interpreter.run(equation.entry, equation.programs.entries.__getitem__, arguments, sizes)


def nested(array: interpreter.Array) -> Any:
    return np.asarray([float(x) for x in array.data]).reshape(array.shape)


def test_there_are_examples_of_all_three_sorts() -> None:
    assert len(EXAMPLES) >= 15
    assert all(example.values for example in EXAMPLES.values() if example.id not in ("scaled_pair", *SECTIONS))
    assert len(REFUSED) >= 25


@pytest.mark.parametrize(("entry_id", "text"), VALUES)
def test_interpreter_gives_the_stated_value(catalogue: kb.Catalogue, entry_id: str, text: str) -> None:
    given, expected = read_value(text)
    found = interpreted(catalogue[entry_id], given)
    for name, value in results_of(catalogue[entry_id], expected).items():
        np.testing.assert_allclose(nested(found[name]), value, rtol=1e-12, atol=1e-12)
        assert nested(found[name]).shape == np.shape(value)


@pytest.mark.parametrize(("entry_id", "text"), VALUES)
def test_generated_code_gives_the_stated_value(catalogue: kb.Catalogue, entry_id: str, text: str) -> None:
    equation = catalogue[entry_id]
    given, expected = read_value(text)
    found = equation.lambdify()(**given)
    found = found if isinstance(found, tuple) else (found,)
    wanted = results_of(equation, expected)
    for value, array in zip(wanted.values(), found, strict=True):
        np.testing.assert_allclose(array, value, rtol=1e-12, atol=1e-12)
        assert np.shape(array) == np.shape(value)


@pytest.mark.parametrize(("entry_id", "text"), [v for v in VALUES if "claims:" in "".join(EXAMPLES[v[0]].lines)])
def test_claims_hold_at_the_stated_values(catalogue: kb.Catalogue, entry_id: str, text: str) -> None:
    equation = catalogue[entry_id]
    given, _ = read_value(text)
    for claim in equation.entry.claims:
        statement = parser.parse_statement(claim.text)
        assert isinstance(statement, tree.Claim)
        rows = interpreter.claim_sides(equation.entry, equation.programs.entries.__getitem__, given, {}, statement)
        assert rows
        holds = {"==": lambda a, b: abs(a - b) < 1e-9, ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b}
        assert all(holds[statement.relation](a, b) for _, a, b in rows) or claim.refuted, claim.name


@pytest.mark.parametrize(("entry_id", "text"), REFUSED)
def test_what_is_said_to_be_refused_is(tmp_path: Path, entry_id: str, text: str) -> None:
    define, words = re.split(r" {2,}", text, maxsplit=1)
    others = "".join(example.text() for example in EXAMPLES.values() if example.id != entry_id)
    path = tmp_path / "examples.yaml"
    path.write_text(others + EXAMPLES[entry_id].text(define), encoding="utf-8")
    faults = kb.validate(path)
    assert any(words in f.message and f"{entry_id}.define" in str(f) for f in faults), "\n".join(map(str, faults))


@pytest.mark.slow
@pytest.mark.parametrize("entry_id", [name for name in EXAMPLES if name not in SECTIONS])
def test_all_evidence_for_the_examples(catalogue: kb.Catalogue, entry_id: str) -> None:
    evidence = catalogue[entry_id].check()
    assert evidence.verdict == "verified", evidence.text()


TRAPS = {
    "default: 1.0e-8": "",
    "default: 1e-8": "write 1.0e-8",
    "default: '0.5'": "leave out the quotes",
    "default: 1.0, default: 2.0": "default",
    "default: &x 1.0": "anchor",
    "about: !!str a": "tag",
    "about: *x": "alias",
    "about: " + "[" * 33 + "]" * 33: "nested deeper",
}


@pytest.mark.parametrize("written", TRAPS)
def test_traps_of_yaml_are_as_stated(tmp_path: Path, written: str) -> None:
    path = tmp_path / "trap.yaml"
    symbols = f"  symbols: {{x: {{{written}}}, y: {{}}, on: {{}}, no: {{}}, z: {{role: output}}}}\n"
    path.write_text(f"trap:\n{FILLED_IN}{symbols}  define: z = x + y + on + no\n", encoding="utf-8")
    faults = kb.validate(path)
    if TRAPS[written]:
        assert any(TRAPS[written] in fault.message for fault in faults), "\n".join(map(str, faults))
    else:
        assert not faults, "\n".join(map(str, faults))


# --- tables --------------------------------------------------------------------------------------


def section(number: int) -> str:
    """The prose and tables of one section, without examples."""
    text = "\n".join(line for line in comment_lines() if line[:2] not in ("| ", "> ", "! "))
    match = re.search(rf"^{number}  [A-Z].*?(?=^\d+  [A-Z]|\Z)", text, re.M | re.S)
    assert match, f"section {number}"
    return match[0]


def rows(number: int) -> list[str]:
    """The words in the first column of the tables of a section."""
    first = re.findall(r"^  (\S.*?)  +\S", section(number), re.M)
    return [word for words in first for word in re.split(r", | ", words)]


def field_names(record: type) -> set[str]:
    from dataclasses import fields

    return {f.name for f in fields(record)} - {"id", "origin", "sides"}


TABLES: list[tuple[str, int, Sequence[str] | set[str]]] = [
    ("keys of an entry", 1, field_names(model.Entry)),
    ("keys of a symbol", 2, field_names(model.Symbol) - {"name"}),
    ("domains", 2, set(DOMAINS)),
    ("binders", 4, set(BINDERS) - WAITING),
    ("functions", 7, set(FUNCTIONS) | set(ARRAY_FUNCTIONS)),
    ("operators of formulas", 8, set(OPERATORS)),
    ("kinds of entries", 9, set(get_args(model.Kind))),
    ("keys of a source", 10, field_names(model.SourceItem)),
    ("keys of a plot", 11, field_names(model.Plot)),
]


@pytest.mark.parametrize(("what", "number", "names"), TABLES, ids=[t[0] for t in TABLES])
def test_tables_name_everything_there_is(what: str, number: int, names: set[str]) -> None:
    missing = set(names) - set(rows(number))
    assert not missing, f"section {number} lacks {what}: {sorted(missing)}"


@pytest.mark.parametrize("number", [1, 4, 7, 8, 9, 10, 11])
def test_tables_name_nothing_that_is_not(number: int) -> None:
    known = {name for _, own, names in TABLES if own == number for name in names}
    assert set(rows(number)) <= known


def test_words_in_running_text_are_complete() -> None:
    findings = re.search(r"^  finding .*?^  note ", section(10), re.M | re.S)
    assert findings and set(get_args(model.Finding)) <= set(re.findall(r"\w+", findings[0]))
    documents = section(10).partition("document/item")[0]
    assert field_names(model.Document) - {"key"} <= set(re.findall(r"\w+", documents))
    sheets = section(12)
    assert field_names(model.Sheet) - {"key"} | set(get_args(model.Detail)) <= set(re.findall(r"\w+", sheets))
    symbols = section(2)
    for word in [*get_args(model.SymbolKind), *get_args(model.Role)]:
        assert word in WAITING or re.search(rf"\b{word}\b", symbols), word
    for name in field_names(model.Reference):
        assert re.search(rf"\b{name}\b", section(1)), name
    for name in CONSTANTS:
        assert re.search(rf"\b{name}\b", section(3)), name
    for word in WAITING:
        assert not re.search(rf"\b{word}\b", "\n".join(comment_lines())), f"{word} is promised"


def test_limits_are_as_stated() -> None:
    from kb.composer import MAX_DEPTH

    text = " ".join(comment_lines())
    assert f"{parser.MAX_CHARACTERS:,} characters" in text
    assert f"{parser.MAX_NESTING} levels of nesting" in text
    assert f"beyond {MAX_DEPTH} levels" in text


@pytest.mark.parametrize(
    ("written", "meant", "otherwise"),
    [
        ("a/b*c", "(a/b)*c", "a/(b*c)"),
        ("-a**2", "-(a**2)", "(-a)**2"),
        ("a**b**c", "a**(b**c)", "(a**b)**c"),
        ("a - b + c", "(a - b) + c", "a - (b + c)"),
        ("7//2*a", "(7//2)*a", "7//(2*a)"),
        (
            "a if a < b else b if b < c else c",
            "a if a < b else (b if b < c else c)",
            "(a if a < b else b) if b < c else c",
        ),
        ("a if not a > b or a > c and b > c else c", "a if (not a > b) or (a > c and b > c) else c", "c"),
        ("r.T @ h*h", "(r.T @ h)*h", "r.T @ (h*h)"),
    ],
)
def test_precedence_is_as_stated(written: str, meant: str, otherwise: str) -> None:
    numbers = {"a": 1.5, "b": 2.5, "c": 0.5, "r": [1.0, 2.0], "h": [3.0, 5.0]}
    found = []
    for text in (written, meant, otherwise):
        equation = kb.parse(f"y = {text}", "r[m] h[m]" if "@" in text else "a b c")
        found.append(equation.lambdify()(**{name: numbers[name] for name in equation.symbols if name != "y"}))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.any(np.not_equal(found[0], found[2]))
