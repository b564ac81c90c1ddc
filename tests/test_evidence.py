"""Verdicts, records and the store of evidence; the four questions on shipped and on wrong entries."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agreement import shipped
from selection import sampled

import kb
from kb import evidence
from kb.cache import cache_path, source_digest
from kb.catalogue import Catalogue
from kb.evidence.derivatives import FEWEST_POINTS, check_derivatives
from kb.evidence.gather import all_checks
from kb.evidence.kept import key_of, library_versions
from kb.evidence.record import Check, Evidence, from_json
from kb.evidence.subject import Subject
from kb.evidence.verdict import Verdict, overall
from kb.model import Entry, NamedClaim, Symbol
from kb.programs import Programs


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    found: Catalogue = shipped()
    return found


# --- verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("required", "optional", "wanted"),
    [
        ([], [], "not checked"),
        (["verified", "verified"], [], "verified"),
        (["verified", "unknown"], [], "unknown"),
        (["unknown", "refuted", "verified"], [], "refuted"),
        (["verified", "not checked"], [], "not checked"),
        (["verified"], ["not checked"], "verified"),
        (["verified"], ["refuted"], "refuted"),
        ([], ["verified"], "not checked"),
    ],
)
def test_only_verified_counts(required: list[Verdict], optional: list[Verdict], wanted: Verdict) -> None:
    assert overall(required, optional) == wanted


def test_no_points_are_no_evidence() -> None:
    from kb.evidence.derivatives import Tally

    assert Tally().check("claims", "nothing", 30).verdict == "unknown"


# --- shipped entries -------------------------------------------------------------------------------


SHIPPED = ["sigmoid", "softmax", "linear", "max_pool2d", "adam", "normal_equation"]


@pytest.mark.parametrize("entry_id", sampled(SHIPPED, SHIPPED[:4].__contains__))
def test_shipped_entries_are_verified(catalogue: Catalogue, entry_id: str) -> None:
    found = catalogue[entry_id].check()
    assert found.verdict == "verified", found.text()
    assert found.counterexample is None
    assert found.max_error < 1e-20
    questions = {check.question for check in found.checks}
    assert {"derivatives", "code", "claims"} <= questions
    differences = next(c for c in found.checks if "differences" in c.name)
    assert differences.points >= FEWEST_POINTS
    assert differences.order is None or differences.order > 1.9


def test_differences_converge_at_their_order(catalogue: Catalogue) -> None:
    """A curved function shows the order of the method; a linear one has no error at all."""
    orders = {}
    for entry_id in ("sigmoid", "softmax", "linear"):
        equation = catalogue[entry_id]
        checks = check_derivatives(Subject(equation.entry, equation.program, equation.source.programs))
        orders[entry_id] = next(c.order for c in checks if "differences" in c.name)
    assert orders["linear"] is None
    for entry_id in ("sigmoid", "softmax"):
        order = orders[entry_id]
        assert order is not None
        assert 1.95 < order < 2.05


def test_several_sizes_are_tried_and_one_of_them_is_1(catalogue: Catalogue) -> None:
    found = catalogue["linear"].check()
    for check in found.checks:
        if check.question == "code" and check.name in ("function", "backward pass"):
            assert {"m": 1, "n": 1} in [dict(s) for s in check.sizes]
            assert any(s["m"] != s["n"] for s in check.sizes)


def test_the_same_seed_gives_the_same_evidence(catalogue: Catalogue) -> None:
    first, second = (evidence.check(catalogue["sigmoid"], seed=3) for _ in range(2))
    assert first == second
    assert first.seed == 3


def test_progress_is_told(catalogue: Catalogue) -> None:
    told: list[str] = []
    evidence.check(catalogue["sigmoid"], progress=told.append)
    assert any("sigmoid" in line for line in told)
    assert len(told) >= 6


# --- wrong entries ---------------------------------------------------------------------------------

Y = Symbol("y", role="output")


class NoCode:
    """Entries that are only checked for what precedes code."""

    def __getattr__(self, name: str) -> Any:
        raise kb.EqkbError("no code here")


def checks_of(entry: Entry, question: str) -> list[Check]:
    programs = Programs({entry.id: entry})
    assert programs.elaborated(entry.id).faults == ()
    subject = Subject(entry, programs(entry.id), programs)
    return [c for c in all_checks(subject, NoCode()) if c.question == question]  # type: ignore[arg-type]


def test_a_false_claim_comes_with_a_counterexample() -> None:
    entry = Entry("own", "Own", symbols=(Symbol("x"), Y), define=("y = x**3",), claims=(NamedClaim("c", "y >= x"),))
    (check,) = checks_of(entry, "claims")
    assert check.verdict == "refuted"
    assert check.counterexample is not None
    x = check.counterexample["values"]["x"]
    assert x**3 < x
    assert "is false" in check.counterexample["found"]


def test_a_claim_that_is_known_to_be_false_is_verified_by_a_counterexample() -> None:
    claim = NamedClaim("c", "y >= x", refuted=True)
    entry = Entry("own", "Own", symbols=(Symbol("x"), Y), define=("y = x**3",), claims=(claim,))
    (check,) = checks_of(entry, "claims")
    assert check.verdict == "verified"
    assert (
        check.counterexample is not None
        and check.counterexample["values"]["x"] ** 3 < check.counterexample["values"]["x"]
    )
    assert "x = " in check.shown_counterexample and "is false" in check.shown_counterexample
    found = Evidence("own", (check,))
    assert found.counterexample is None
    assert f"counter-example: {check.shown_counterexample}" in found.text()


def test_a_declared_derivative_that_does_not_exist_is_refuted() -> None:
    step = Entry("own", "Own", symbols=(Symbol("x"), Y), define=("y = 1 if x > 0 else 0",), differentiate=("x",))
    assert "refuted" in [c.verdict for c in checks_of(step, "derivatives")]
    undeclared = dataclasses.replace(step, differentiate=())
    assert "refuted" not in [c.verdict for c in checks_of(undeclared, "derivatives")]


def test_a_domain_without_points_is_unknown() -> None:
    entry = Entry("own", "Own", symbols=(Symbol("x", domain="positive"), Y), define=("y = log(-x)",))
    checks = checks_of(entry, "derivatives")
    assert {c.verdict for c in checks} == {"unknown"}
    assert "no point of the domain" in checks[0].note


def test_identical_sides_of_an_identity_are_refuted() -> None:
    entry = Entry(
        "own", "Own", "identity", symbols=(Symbol("x"), Y), define=("y = x**2",), claims=(NamedClaim("c", "y == x*x"),)
    )
    (check,) = checks_of(entry, "claims")
    assert check.verdict == "refuted"
    assert "identical" in check.note


def test_code_that_cannot_be_made_is_refuted() -> None:
    entry = Entry("own", "Own", symbols=(Symbol("x"), Y), define=("y = x**2",))
    assert {c.verdict for c in checks_of(entry, "code")} == {"refuted"}


def test_an_output_without_what_varies_is_repeated(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "sum_and_step: {name: N, topic: t, about: A., symbols: {x: {shape: [n]}, a: {role: parameter},"
        " y: {shape: [n], role: output}, z: {shape: [n], role: output}}, define: [y = x + 1, z = a*y]}"
    )
    evidence = kb.load_catalogue(path)["sum_and_step"].check()
    assert {c.name: c.verdict for c in evidence.checks if c.question == "code"}["function"] == "verified"


# --- records ---------------------------------------------------------------------------------------


def example() -> Evidence:
    passed = Check("derivatives", "a", "verified", 64, 45, ({"n": 2},), 3e-31, 2.0)
    failed = Check("claims", "b", "refuted", 3, 30, (), 0.5, None, {"values": {"x": 1.0}}, "why")
    return Evidence("own", (passed, failed, Check("independent", "c", "not checked")), 1, {"numpy": "2"}, "key")


def test_records_survive_json() -> None:
    assert from_json(json.loads(json.dumps(example().as_json()))) == example()


@pytest.mark.parametrize("broken", [None, [], {}, {"entry": "x"}, {**example().as_json(), "checks": [{"name": 1}]}])
def test_what_is_no_record_is_refused(broken: Any) -> None:
    with pytest.raises(ValueError, match="not a"):
        from_json(broken)


def test_a_person_can_read_it() -> None:
    text = example().text()
    assert text.startswith("own: refuted")
    assert "a: verified (64 points, 45 digits, largest error 3e-31, order 2.0)" in text
    assert "counter-example" in text
    assert example().summary().startswith("refuted: 64 points, 45 digits")
    nothing = Evidence(
        "own", (Check("derivatives", "a", "verified", 1, 22, (), 0.0), Check("code", "b", "verified", 1, 16, (), 0.0))
    )
    assert nothing.summary() == "verified: 1 point, 22 digits, no error; code against interpreter 0"
    assert example().counterexample == {"values": {"x": 1.0}}


# --- the store -------------------------------------------------------------------------------------


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.usefixtures("own_cache")
def test_evidence_is_kept_until_something_changes(catalogue: Catalogue) -> None:
    equation = catalogue["softmax_jacobian"]
    found = evidence.check(equation)
    assert evidence.stored(equation) is None
    evidence.store(equation, found)
    assert evidence.stored(equation) == found
    assert equation.stored_evidence() == found
    entries = catalogue.records
    changed = {**entries, "softmax": dataclasses.replace(entries["softmax"], define=("p[j] = z[j]",))}
    assert key_of(equation.entry, changed) != found.key
    unrelated = {**entries, "adam": dataclasses.replace(entries["adam"], define=())}
    assert key_of(equation.entry, unrelated) == found.key
    drawn = dataclasses.replace(equation.entry, plot=(), notes=("Another note.",))
    assert key_of(drawn, {**entries, drawn.id: drawn}) == found.key
    symbols = tuple(dataclasses.replace(symbol, about="new words") for symbol in equation.entry.symbols)
    told = dataclasses.replace(
        equation.entry, name="New", about="New words.", topic="new", tags=("new",), symbols=symbols
    )
    assert key_of(told, {**entries, told.id: told}) == found.key


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"entry": "sigmoid"}', "[" * 100_000])
def test_a_broken_file_counts_as_not_checked(catalogue: Catalogue, content: str) -> None:
    equation = catalogue["sigmoid"]
    evidence.store(equation, evidence.check(equation))
    assert evidence.stored(equation) is not None
    folder = cache_path("evidence")
    assert folder is not None
    (path,) = Path(folder).glob("sigmoid-*.json")
    path.write_text(content)
    assert evidence.stored(equation) is None


def test_the_key_holds_kb_and_the_libraries() -> None:
    assert len(source_digest()) == 64
    versions = library_versions()
    import numpy as np

    assert versions["numpy"] == np.__version__
    assert {"mpmath", "sympy", "python"} <= set(versions)


def test_a_cache_that_cannot_be_written_is_done_without(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker))
    equation = catalogue["relu"]
    evidence.store(equation, Evidence("relu", (), 0, {}, "k"))
    assert evidence.stored(equation) is None


def test_reading_evidence_imports_no_heavy_library() -> None:
    program = (
        "import sys, kb\n"
        "equation = kb.load_catalogue()['softmax']\n"
        "equation.stored_evidence()\n"
        "print(sorted({'numpy', 'sympy', 'mpmath', 'pydantic'} & set(sys.modules)))"
    )
    home = Path(kb.__file__).parent.parent
    for _ in range(2):  # the first run may have to read the catalogue
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=home, env=dict(os.environ), capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "[]"
