"""The public Python interface: catalogue, equations, derivatives, and their SymPy faces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy
from agreement import shipped
from selection import sampled

import kb
import kb.validation
from kb.errors import CatalogueError, NotDifferentiable, NotFound
from kb.programs import Programs

ROOT = Path(__file__).resolve().parent.parent


IDS = sorted(shipped())


@pytest.fixture(scope="module")
def catalogue() -> kb.Catalogue:
    found: kb.Catalogue = shipped()
    return found


def entry(name: str, **fields: str) -> str:
    rows = {
        "name": "A name",
        "topic": "tests",
        "about": "Some text.",
        "symbols": "{x: {shape: [n]}, y: {shape: [n], role: output}}",
        "define": "y = 2*x",
    }
    return f"{name}:\n" + "".join(f"  {key}: {value}\n" for key, value in (rows | fields).items())


def test_importing_kb_loads_no_heavy_library() -> None:
    code = "import sys, kb; kb.load_catalogue(); print({'sympy','numpy','mpmath','jinja2'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout.strip() == "set()"


def test_every_public_name_is_there() -> None:
    assert all(getattr(kb, name) is not None for name in kb.__all__)
    assert set(kb.__all__) <= set(dir(kb))
    with pytest.raises(AttributeError):
        kb.nothing  # noqa: B018 - the look-up is the test


# --- the catalogue --------------------------------------------------------------------------------


def test_a_catalogue_is_a_mapping_in_file_order(catalogue: kb.Catalogue) -> None:
    ids = list(catalogue)
    assert len(ids) == len(catalogue) == len(set(ids))
    assert ids.index("sigmoid") < ids.index("softmax") < ids.index("scaled_dot_product_attention")
    assert catalogue["softmax"] is catalogue["softmax"]
    assert "softmax" in catalogue and "sofmax" not in catalogue
    assert catalogue.get("sofmax") is None


def test_aliases_find_their_entry(catalogue: kb.Catalogue) -> None:
    assert catalogue["softargmax"].id == "softmax"


def test_an_unknown_entry_names_the_nearest(catalogue: kb.Catalogue) -> None:
    with pytest.raises(NotFound, match="softmax") as caught:
        catalogue["sofmax"]
    assert isinstance(caught.value, KeyError)
    assert caught.value.exit_code == 3


def test_a_file_lies_over_the_shipped_catalogue(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(entry("mine", define="y = 3*softmax(x)"))
    catalogue = kb.load_catalogue(mine)
    assert list(catalogue) == ["mine"]
    assert np.allclose(catalogue["mine"].lambdify()([1.0, 1.0]), [1.5, 1.5])
    assert catalogue["softmax"].id == "softmax"


def test_a_shipped_id_cannot_be_used_again(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(entry("softmax"))
    with pytest.raises(CatalogueError, match="taken"):
        kb.load_catalogue(mine)


def test_faults_of_a_formula_show_when_it_is_used(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(entry("bad", define="y = 2*q") + entry("good"))
    catalogue = kb.load_catalogue(mine)
    assert str(catalogue["good"].outputs) == "('y',)"
    with pytest.raises(CatalogueError) as caught:
        catalogue["bad"].expr  # noqa: B018 - the look-up is the test
    (fault,) = caught.value.faults
    assert str(fault).startswith(f"{mine}:6:17: bad.define")


def test_an_entry_that_calls_a_faulty_one_says_where_the_fault_is(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(entry("outer", define="y = inner(x)") + entry("inner", define="y = 2*q"))
    with pytest.raises(CatalogueError, match=r"inner\.define"):
        kb.load_catalogue(mine)["outer"].program  # noqa: B018 - the look-up is the test
    assert len(kb.validate(mine)) == 1


def test_a_circle_of_calls_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        entry("one", define="y = two(x)")
        + entry("two", define="y = three(x)")
        + entry("three", define="y = one(x)")
        + entry("user", define="y = one(x)")
    )
    faults = kb.validate(mine)
    assert [f.location.path.split(".")[0] for f in faults if f.location] == ["one", "two", "three"]
    assert "one -> two -> three -> one" in faults[0].message


def test_a_long_chain_of_calls_is_no_circle(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    entries = [entry("e0")] + [entry(f"e{n}", define=f"y = e{n - 1}(x)") for n in range(1, 150)]
    mine.write_text("".join(reversed(entries)))
    assert kb.validate(mine) == []


def test_the_shipped_catalogue_is_valid() -> None:
    assert [str(fault) for fault in kb.validate()] == []


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("claims", "{c: y == 2*q}", "'q'"),
        ("claims", "{c: 'y == sum(x[i], j)'}", "'j'"),
        ("claims", "{c: 'y = 2*x'}", "left == right"),
        ("claims", "{c: y == y}", "say the same"),
        ("claims", "{c: 'd(y[i], n) == 0'}", "'n'"),
        ("claims", "{c: 'y[i, j] == 0'}", "axes"),
        ("kinks", "['x == q']", "'q'"),
        ("requires", "['n >= q']", "'q'"),
        ("differentiate", "[y]", "has no derivative"),
        ("differentiate", "[q]", "no symbol"),
    ],
)
def test_formulas_about_an_entry_are_checked(field: str, text: str, said: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(entry("mine", **{field: text}))
    faults = kb.validate(mine)
    assert len(faults) == 1
    assert said in faults[0].message
    assert faults[0].location is not None and faults[0].location.line == 7


def test_all_semantic_faults_come_at_once_and_in_order(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        entry("a", define="[y = x + q, z = softmx(x)]", claims="{c: x == w}") + entry("b", define='"y = x @ q"')
    )
    faults = kb.validate(mine)
    assert [f.location.path for f in faults if f.location] == [
        "a.define[0]",
        "a.define[1]",
        "a.claims.c.formula",
        "b.define[0]",
    ]
    assert [f.location.line for f in faults if f.location] == [6, 6, 7, 13]


# --- equations ------------------------------------------------------------------------------------


def test_a_scalar_entry_ends_in_an_ordinary_sympy_expression(catalogue: kb.Catalogue) -> None:
    sigmoid = catalogue["sigmoid"]
    z = sigmoid.symbols["z"].sympy
    assert sigmoid.expr.free_symbols == {z}
    assert sigmoid.expr.subs(z, 0) == sympy.Rational(1, 2)
    assert sympy.series(sigmoid.expr, z, 0, 4).removeO() == sympy.Rational(1, 2) + z / 4 - z**3 / 48
    assert sympy.simplify(sigmoid.derivative("z").expr - sigmoid.expr.diff(z)) == 0
    assert sympy.simplify(sigmoid.hessian("z").expr - sigmoid.expr.diff(z, 2)) == 0


def test_index_form_is_evaluated_by_sympy_itself(catalogue: kb.Catalogue) -> None:
    softmax = catalogue["softmax"]
    values = [0.3, -1.0, 2.0]
    size = sympy.Symbol("C", integer=True, positive=True)
    written = softmax.expr.subs({size: 3, sympy.Symbol("j", integer=True): 2}).doit()
    number = written.subs({element: values[int(element.indices[0])] for element in written.atoms(sympy.Indexed)})
    assert np.isclose(float(number), softmax.lambdify()(values)[2])


def test_bound_indices_are_not_captured(catalogue: kb.Catalogue) -> None:
    jacobian = catalogue["softmax"].derivative("z").expr
    bound = {index for s in jacobian.atoms(sympy.Sum) for index in s.variables}
    free = {str(s) for s in jacobian.free_symbols}
    assert bound and not {str(b) for b in bound} & free


def test_parts_of_an_output_become_a_piecewise_on_the_index(catalogue: kb.Catalogue) -> None:
    encoding = catalogue["positional_encoding"]
    assert isinstance(encoding.expr, sympy.Piecewise)
    (index,) = (s for s in encoding.expr.free_symbols if str(s) not in ("d", "position"))
    d, position = sympy.Symbol("d", integer=True, positive=True), encoding.symbols["position"].sympy
    shown = [float(encoding.expr.subs({index: n, d: 4, position: 3})) for n in range(4)]
    assert np.allclose(shown, [np.sin(3), np.cos(3), np.sin(3 / 100), np.cos(3 / 100)])


def test_steps_keep_their_names(catalogue: kb.Catalogue) -> None:
    attention = catalogue["scaled_dot_product_attention"]
    assert list(attention.steps) == ["S", "A", "O"]
    assert "A" in {str(s) for s in attention.steps["O"].free_symbols}
    assert "A" not in {str(s) for s in attention.expr.free_symbols}


def test_several_outputs_are_a_tuple_in_declared_order(catalogue: kb.Catalogue) -> None:
    adam = catalogue["adam"]
    assert adam.outputs == ("theta", "m", "v")
    assert len(adam.expr) == 3
    assert set(adam.derivative("g").shape) == {"theta", "m", "v"}


def test_symbols_are_in_declared_order_with_their_declaration(catalogue: kb.Catalogue) -> None:
    symbols = catalogue["batch_norm"].symbols
    assert list(symbols) == [s.name for s in catalogue["batch_norm"].entry.symbols]
    assert symbols["x"].shape == ("m", "n")
    assert symbols["eps"].default == 1e-5
    assert symbols["eps"].sympy.is_positive
    assert symbols["gamma"].latex == r"\gamma"
    assert symbols["y"].role == "output"


@pytest.mark.parametrize("entry_id", sampled(IDS, 3))
def test_every_entry_and_every_form_gives_sympy(catalogue: kb.Catalogue, entry_id: str) -> None:
    equation = catalogue[entry_id]
    assert equation.expr is not None
    for name in equation.entry.differentiate:
        assert equation.derivative(name).expr is not None
        assert set(equation.vjp(name).expr) == {name}
        assert set(equation.jvp(name).expr) == set(equation.outputs)


@pytest.mark.parametrize("entry_id", sampled(IDS, 4))
def test_every_entry_and_every_form_prints(catalogue: kb.Catalogue, entry_id: str) -> None:
    equation = catalogue[entry_id]
    assert equation.text() and equation.latex()
    for name in equation.entry.differentiate:
        for derivative in (equation.derivative(name), equation.vjp(name), equation.jvp(name)):
            assert derivative.text() and derivative.latex() and derivative.steps


def test_shapes_are_output_then_symbol(catalogue: kb.Catalogue) -> None:
    loss = catalogue["cross_entropy_with_logits"]
    assert loss.jacobian("x").shape == ("C",)
    assert loss.hessian("x").shape == ("C", "C")
    assert catalogue["linear"].jacobian("W").shape == ("m", "m", "n")
    assert catalogue["linear"].vjp().shape == {"x": ("n",), "W": ("m", "n"), "b": ("m",)}


def test_the_constraints_that_were_used_are_listed(catalogue: kb.Catalogue) -> None:
    derivative = catalogue["softmax_cross_entropy_gradient"].derivative("z")
    assert any("sum" in text for text in derivative.uses)
    assert catalogue["softmax"].derivative("z").uses == ()


# --- what cannot be differentiated ----------------------------------------------------------------


def test_differentiable_are_the_real_arguments(catalogue: kb.Catalogue) -> None:
    assert catalogue["cross_entropy_with_logits"].differentiable == ("x",)
    assert "eps" in catalogue["batch_norm"].differentiable
    assert catalogue["conv2d"].differentiable == ("x", "K", "b")


@pytest.mark.parametrize(
    ("name", "symbol", "error", "said"),
    [
        ("softmax", "w", NotFound, "symbols are z, p"),
        ("batch_norm", "gama", NotFound, "did you mean 'gamma'"),
        ("softmax", "p", NotDifferentiable, "output"),
        ("cross_entropy_with_logits", "y", NotDifferentiable, "label"),
        ("conv2d", "s", NotDifferentiable, "integer"),
        ("chain_rule", "f", NotDifferentiable, "function"),
    ],
)
def test_other_symbols_are_refused(
    name: str, symbol: str, error: type[Exception], said: str, catalogue: kb.Catalogue
) -> None:
    for form in ("derivative", "jacobian", "hessian", "vjp", "jvp"):
        with pytest.raises(error, match=said):
            getattr(catalogue[name], form)(symbol)


def test_a_jump_has_no_derivative(catalogue: kb.Catalogue) -> None:
    with pytest.raises(NotDifferentiable, match="floor"):
        kb.parse("floor(x)", "x", catalogue).derivative("x").expr  # noqa: B018 - the look-up is the test


def test_a_kink_has_the_declared_convention_and_a_second_derivative(catalogue: kb.Catalogue) -> None:
    relu = catalogue["relu"]
    z = relu.symbols["z"].sympy
    assert relu.derivative("z").expr.subs(z, 2) == 1
    assert relu.derivative("z").expr.subs(z, 0) == 0
    assert relu.hessian("z").expr == 0


def test_what_sympy_has_no_form_for_stays_a_name() -> None:
    equation = kb.parse("lam, U = eigh(A); y = sum(lam[i]**2*U[0,i], i) + logdet(A)", "A[n,n]")
    i = sympy.Symbol("i", integer=True)
    lam, vectors = sympy.IndexedBase("lam"), sympy.IndexedBase("U")
    assert equation.expr.atoms(sympy.IndexedBase) == {equation.sympy_of("lam"), equation.sympy_of("U")}
    assert equation.expr.has(sympy.Determinant)
    assert str(lam[i] ** 2 * vectors[0, i]) in str(equation.expr)
    assert str(equation.steps["lam"]) == "lam"


def test_what_was_well_formed_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "own.yaml"
    seen: list[str] = []
    looked = kb.validation.semantic_faults

    def counted(programs: Programs, entry_id: str, thorough: bool = False) -> list[kb.Fault]:
        seen.append(entry_id)
        return looked(programs, entry_id, thorough)

    monkeypatch.setattr(kb.validation, "semantic_faults", counted)

    def validated(inner: str) -> tuple[list[str], int]:
        path.write_text(
            entry("inner", define=inner) + entry("outer", define="y = inner(x)**2") + entry("other"), encoding="utf-8"
        )
        seen.clear()
        return seen, len(kb.validate(path))

    assert validated("y = 2*x") == (["inner", "outer", "other"], 0)
    assert validated("y = 2*x") == ([], 0)
    assert validated("y = 3*x") == (["inner", "outer"], 0)
    assert validated("y = 3*z") == (["inner", "outer"], 1)
    assert validated("y = 3*z") == (["inner"], 1)
    assert validated("y = 2*x") == ([], 0)
