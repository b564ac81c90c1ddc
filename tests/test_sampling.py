"""Random points lie in their domains, sizes satisfy what is required, kinks are avoided."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import mpmath
import pytest
from agreement import shipped

from kb.calculus.evaluate import elements
from kb.catalogue import Catalogue
from kb.evidence.requirements import holds
from kb.evidence.sampling import MARGIN, NoSample, Point, Sampler
from kb.model import Entry, Symbol
from kb.parser import parse_expression
from kb.programs import Programs
from kb.vocabulary import DOMAINS

OUT = Symbol("out", role="output")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    found: Catalogue = shipped()
    return found


def sampler_of(entry: Entry, others: Mapping[str, Entry] | None = None, seed: int = 0) -> Sampler:
    programs = Programs({**(others or {}), entry.id: entry})
    assert programs.elaborated(entry.id).faults == ()
    return Sampler(entry, programs(entry.id), programs.entries.__getitem__, seed)


def draw(domain: str, shape: tuple[str, ...], sizes: dict[str, int], count: int = 5) -> list[Any]:
    value = "x" if not shape else "sum(x)"
    entry = Entry("own", "Own", symbols=(Symbol("x", shape, domain=domain), OUT), define=(f"out = {value}",))
    stream = sampler_of(entry).points(sizes)
    return [next(stream).values["x"] for _ in range(count)]


def rows(value: Any) -> list[list[Any]]:
    return [row for item in value for row in rows(item)] if isinstance(value[0], list) else [value]


INSIDE = {
    "real": lambda x: True,
    "positive": lambda x: x > 0,
    "nonnegative": lambda x: x >= 0,
    "nonzero": lambda x: x != 0,
    "unit": lambda x: 0 < x < 1,
    "unit_ball": lambda x: -1 < x < 1,
    "simplex": lambda x: 0 < x <= 1,
    "stochastic": lambda x: 0 < x <= 1,
    "joint": lambda x: 0 < x <= 1,
    "one_hot": lambda x: x in (0, 1),
    "binary": lambda x: x in (0, 1),
    "binary_diagonal": lambda x: x in (0, 1),
    "plus_minus_one": lambda x: x in (-1, 1),
    "gaussian": lambda x: True,
    "symmetric": lambda x: True,
    "positive_definite": lambda x: True,
    "orthogonal": lambda x: abs(x) <= 1,
}


def test_every_domain_of_the_vocabulary_is_tested() -> None:
    assert set(INSIDE) == set(DOMAINS)


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_values_lie_in_their_domain(domain: str) -> None:
    matrix = domain in ("symmetric", "positive_definite", "binary_diagonal")
    shape = ("n", "n") if matrix else ("m", "n")
    seen = set()
    for value in draw(domain, shape, {"n": 3, "m": 4}):
        numbers = list(elements(value).values())
        assert all(INSIDE[domain](x) for x in numbers)
        if domain != "orthogonal":
            assert all(mpmath.mpf(float(x)) == x for x in numbers), "a float holds it exactly"
        seen.update(numbers)
    assert len(seen) > 1


@pytest.mark.parametrize("domain", [name for name, d in DOMAINS.items() if d.sums_to_one])
def test_probabilities_add_up_to_exactly_one(domain: str) -> None:
    for value in draw(domain, ("m", "n"), {"m": 3, "n": 4}):
        sums = [sum(row) for row in rows(value)]
        assert sum(sums) == 1 if DOMAINS[domain].sums_to_one == "all" else sums == [1, 1, 1]


def test_matrices_have_their_structure() -> None:
    for value in draw("symmetric", ("n", "n"), {"n": 3}):
        assert all(value[i][j] == value[j][i] for i, j in product(range(3), repeat=2))
    for value in draw("positive_definite", ("n", "n"), {"n": 3}):
        assert all(value[i][j] == value[j][i] for i, j in product(range(3), repeat=2))
        mpmath.cholesky(mpmath.matrix(value))
    for value in draw("binary_diagonal", ("n", "n"), {"n": 3}):
        assert all(value[i][i] == 1 for i in range(3))
    for value in draw("orthogonal", ("m", "n"), {"m": 4, "n": 3}):
        columns = list(zip(*value, strict=True))
        for i, j in product(range(3), repeat=2):
            assert abs(sum(a * b for a, b in zip(columns[i], columns[j], strict=True)) - (i == j)) < 1e-15


def test_scalars_of_every_elementwise_domain() -> None:
    for domain in ("real", "positive", "unit", "plus_minus_one", "gaussian", "nonzero", "binary"):
        assert all(INSIDE[domain](x) for x in draw(domain, (), {}))


def test_labels_and_integers() -> None:
    symbols = (
        Symbol("x", ("C",)),
        Symbol("y", kind="label", classes="C"),
        Symbol("k", kind="integer", domain="positive"),
        Symbol("p", kind="integer", domain="nonnegative", default="0"),
        OUT,
    )
    sampler = sampler_of(Entry("own", "Own", symbols=symbols, define=("out = x[y]*k + p",)))
    chosen = set()
    for sizes in sampler.assignments(4):
        assert sizes["k"] >= 1
        assert sizes["p"] >= 0
        stream = sampler.points(sizes)
        for _ in range(6):
            point = next(stream)
            assert 0 <= point.values["y"] < sizes["C"]
            assert point.values["k"] == sizes["k"]
            chosen.add(point.values["y"])
    assert len(chosen) > 1


def test_the_same_seed_draws_the_same_points(catalogue: Catalogue) -> None:
    entry = catalogue.records["batch_norm"]

    def first(seed: int) -> Point:
        sampler = sampler_of(entry, catalogue.records, seed)
        return next(sampler.points(sampler.assignments()[0]))

    assert first(1) == first(1)
    assert first(1) != first(2)


# --- sizes -----------------------------------------------------------------------------------------


def test_sizes_are_distinct_and_the_last_ones_are_ones(catalogue: Catalogue) -> None:
    for entry_id in ("linear", "scaled_dot_product_attention", "lstm_cell", "bellman_optimality_v"):
        sampler = sampler_of(catalogue.records[entry_id], catalogue.records)
        *several, ones = sampler.assignments()
        assert several
        assert all(len(set(sizes.values())) == len(sizes) for sizes in several)
        assert set(ones.values()) == {1}


def test_sizes_satisfy_what_is_required(catalogue: Catalogue) -> None:
    sampler = sampler_of(catalogue.records["positional_encoding"], catalogue.records)
    assert all(sizes["d"] % 2 == 0 for sizes in sampler.assignments())
    sampler = sampler_of(catalogue.records["normal_equation"], catalogue.records)
    assert all(sizes["N"] >= sizes["d"] for sizes in sampler.assignments())
    sampler = sampler_of(catalogue.records["conv2d"], catalogue.records)
    for sizes in sampler.assignments():
        assert sizes["H"] + 2 * sizes["p"] >= sizes["r"]
        assert (sizes["H"] + 2 * sizes["p"] - sizes["r"]) // sizes["s"] + 1 >= 1


def test_requirements_on_sizes() -> None:
    sizes = {"n": 4, "k": 2}
    cases = {
        "n % k == 0": True,
        "n >= 2*k + 1": False,
        "n // k == 2 and k < n": True,
        "not n == 4": False,
        "n == 3 or k == 2": True,
        "n % (k - 2) == 0": False,
        "n > x": None,
        "2**k == n": True,
    }
    for text, wanted in cases.items():
        assert holds(parse_expression(text), sizes) is wanted, text


def test_requirements_on_numbers_are_kept() -> None:
    symbols = (Symbol("a"), Symbol("b"), OUT)
    sampler = sampler_of(Entry("own", "Own", symbols=symbols, define=("out = sqrt(b - a)",), requires=("a < b",)))
    stream = sampler.points({})
    assert all(p.values["a"] < p.values["b"] for p in (next(stream) for _ in range(20)))


def test_sizes_that_cannot_be_are_said() -> None:
    entry = Entry("own", "Own", symbols=(Symbol("x", ("n",)), OUT), define=("out = sum(x)",), requires=("n > 900",))
    with pytest.raises(NoSample, match="no small sizes satisfy"):
        sampler_of(entry).assignments()


def test_a_domain_without_points_is_said() -> None:
    entry = Entry("own", "Own", symbols=(Symbol("x", domain="positive"), OUT), define=("out = log(-x)",))
    with pytest.raises(NoSample, match="no point of the domain"):
        next(sampler_of(entry).points({}))


# --- kinks -----------------------------------------------------------------------------------------


def test_kinks_are_avoided_by_a_margin() -> None:
    entry = Entry(
        "own",
        "Own",
        symbols=(Symbol("x", ("n",)), OUT),
        define=("out = sum(abs(x[i] - 1), i)",),
        kinks=("x[i] == 1",),
    )
    stream = sampler_of(entry).points({"n": 4})
    for _ in range(30):
        assert all(abs(x - 1) >= MARGIN for x in next(stream).values["x"])


def test_sizes_are_such_that_every_axis_has_several_elements(catalogue: Catalogue) -> None:
    for entry_id in ("conv2d", "conv_transpose2d", "multi_head_attention", "max_pool2d"):
        equation = catalogue[entry_id]
        sampler = Sampler(equation.entry, equation.program, equation.source.programs.entries.__getitem__)
        *several, smallest = sampler.assignments(4)
        assert len(several) == 3
        assert all(map(sampler.is_full, several)), several
        assert not sampler.is_full(smallest)


def test_where_only_small_sizes_are_allowed_there_are_none_that_are_full() -> None:
    symbols = (Symbol("x", ("n",)), OUT)
    sampler = sampler_of(Entry("own", "Own", symbols=symbols, define=("out = sum(x)",), requires=("n < 2",)))
    assert sampler.smallest(2) is None
    assert sampler.assignments() == [{"n": 1}]
