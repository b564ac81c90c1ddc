"""Derivatives as they are shown: what people expect to read, and that every line is true."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from printing_values import Values, as_array, programs, sample, sizes_of
from selection import sampled

import kb
from kb import tree
from kb.calculus.evaluate import Evaluation
from kb.calculus.forward import jvp, partial
from kb.calculus.primitives import with_companions
from kb.calculus.reverse import vjp
from kb.errors import NotDifferentiable
from kb.index.program import Program, loop_of
from kb.printing.present import FORMS, Presentation, present

# What the small evaluator of trees cannot compute: abstract functions, laws, integrals, recurrences.
ABSTRACT = {
    name
    for name, entry in programs().entries.items()
    if any(s.kind in ("function", "law", "reducer") for s in entry.symbols)
    or any("E(" in text or "integral(" in text for text in entry.define)
    or any(loop_of(step) is not None for step in programs()(name).steps)
}
ENTRIES = [name for name, entry in programs().entries.items() if name not in ABSTRACT and entry.differentiate]
# Real arguments, but values that only jump; an identity may declare no derivative for another reason.
STEPS = [
    name
    for name, entry in programs().entries.items()
    if not entry.differentiate and entry.kind != "identity" and any(s.is_differentiable for s in entry.arguments)
]


def shown(entry_id: str, form: str, *wrt: str) -> Presentation:
    entry = programs().entries[entry_id]
    names = wrt or tuple(s.name for s in entry.arguments if s.is_differentiable)
    return present(entry, programs()(entry_id), form, names, programs())


def lines(entry_id: str, form: str, *wrt: str) -> list[str]:
    return [line.strip() for line in shown(entry_id, form, *wrt).text().splitlines()]


def run(program: Program, values: dict[str, Any]) -> dict[str, np.ndarray]:
    found = Evaluation(program, values, sizes_of(program)).run()
    return {name: as_array(elements) for name, elements in found.items()}


def assert_true(presentation: Presentation, arrays: dict[str, np.ndarray], sizes: dict[str, int]) -> int:
    """Each displayed step gives the values that index form has under that name; how many were compared."""
    values = Values(arrays, sizes)
    compared = 0
    for statement in (*presentation.statements, *presentation.constrained):
        if isinstance(statement, tree.Claim):  # blocks that together are an array
            assert np.allclose(values.of(statement.left), values.of(statement.right), atol=1e-9), str(statement)
            continue
        (target,) = statement.targets
        base = target.base if isinstance(target, tree.Element) else target
        assert isinstance(base, tree.Name)
        expected = arrays[base.id]
        places = target.indices if isinstance(target, tree.Element) else ()
        if all(isinstance(p, tree.Name) for p in places):
            letters = [p.id for p in places if isinstance(p, tree.Name)]
            for place in itertools.product(*(range(n) for n in expected.shape[: len(letters)])):
                got = np.asarray(values.of(statement.value, dict(zip(letters, place, strict=True))))
                assert np.allclose(np.broadcast_to(got, expected[place].shape), expected[place], atol=1e-9), str(
                    statement
                )
                compared += 1
    return compared


@pytest.mark.parametrize("entry_id", sampled(ENTRIES, 2))
def test_every_line_of_a_backward_pass_is_true(entry_id: str) -> None:
    program = programs()(entry_id)
    found = vjp(program, [s.name for s in programs().entries[entry_id].arguments if s.is_differentiable])
    presentation = shown(entry_id, "vjp")
    values = sample(found.program)
    arrays = {**run(program, values), **run(found.program, values)}
    for symbol, gradient in found.gradients.items():
        zero = np.zeros(np.shape(arrays[symbol]))
        arrays.setdefault(f"{symbol}_bar", arrays[gradient] if gradient is not None else zero)
    assert assert_true(presentation, arrays, sizes_of(program)) > 0


@pytest.mark.parametrize("entry_id", sampled(ENTRIES, 2))
def test_every_line_of_a_tangent_pass_is_true(entry_id: str) -> None:
    program = programs()(entry_id)
    found = jvp(program, [s.name for s in programs().entries[entry_id].arguments if s.is_differentiable])
    arrays = run(found.program, sample(found.program))
    compared = assert_true(shown(entry_id, "jvp"), arrays, sizes_of(program))
    assert compared > 0 or entry_id == "positional_encoding"


@pytest.mark.parametrize("entry_id", sampled(ENTRIES, 2))
def test_every_partial_derivative_shown_is_true(entry_id: str) -> None:
    program = programs()(entry_id)
    sizes = sizes_of(program)
    evaluation = Evaluation(with_companions(program), sample(program), sizes)
    values = Values({name: as_array(v) for name, v in evaluation.run().items()}, sizes)
    compared = 0
    for symbol in (s.name for s in programs().entries[entry_id].arguments if s.is_differentiable):
        content = iter(shown(entry_id, "partial", symbol).content)
        for _, held in program.returns:
            for part in partial(program, held, symbol):
                line = next(content)
                assert isinstance(line.left, tree.Call)
                written = [i for a in line.left.arguments if isinstance(a, tree.Element) for i in a.indices]
                places = [p.index for p in part.target] + list(part.wrt)
                letters = {i: n.id for i, n in zip(places, written, strict=True) if isinstance(n, tree.Name)}
                for place in itertools.islice(evaluation.places((*part.free, *part.wrt), {}), 0, 4000, 37):
                    if any(i not in letters for i in place):
                        letters |= {i: next(iter(tree.names(n))) for i, n in zip(part.free, written, strict=False)}
                    at = {letters[i]: k for i, k in place.items()}
                    expected = float(evaluation.value(part.expr, place))
                    for side in (line.right, line.constrained):
                        # A claim may speak of an expectation, which is proven and not computed here.
                        if side is not None and not any(
                            isinstance(n, tree.Call) and n.function == "E" for n in tree.walk(side)
                        ):
                            assert np.isclose(float(np.asarray(values.of(side, at))), expected, atol=1e-9), str(side)
                            compared += 1
    assert compared > 0


@pytest.mark.parametrize(("entry_id", "form"), sampled(itertools.product([*ENTRIES, *sorted(ABSTRACT)], FORMS), 8))
def test_every_form_of_every_entry_prints(entry_id: str, form: str) -> None:
    entry = programs().entries[entry_id]
    for symbol in (s.name for s in entry.arguments if s.is_differentiable):
        presentation = shown(entry_id, form, symbol)
        assert presentation.text().splitlines()[0].count(":") >= 1
        tex = presentation.latex()
        assert tex.count("{") == tex.count("}")
        assert "#" not in presentation.text()
        json.dumps(presentation.as_json())


@pytest.mark.parametrize("entry_id", STEPS)
@pytest.mark.parametrize("form", FORMS)
def test_what_only_jumps_is_refused_in_every_form(entry_id: str, form: str) -> None:
    for symbol in (s.name for s in programs().entries[entry_id].arguments if s.is_differentiable):
        with pytest.raises(NotDifferentiable, match="jumps"):
            shown(entry_id, form, symbol)


def test_attention_reads_as_people_write_it() -> None:
    found = shown("scaled_dot_product_attention", "vjp", "Q", "K", "V")
    assert [str(s) for s in found.statements] == [
        "A_bar = O_bar @ V.T",
        "S_bar = A*(A_bar - rowsum(A*A_bar))",
        "Q_bar = S_bar @ K/sqrt(d_k)",
        "K_bar = S_bar.T @ Q/sqrt(d_k)",
        "V_bar = A.T @ O_bar",
    ]
    text = found.text()
    assert "Q : [n, d_k]" in text
    assert "cotangent Ō : [n, d_v]" in text
    assert "S̄ = A ⊙ (Ā − rowsum(A ⊙ Ā))" in text


def test_only_the_steps_that_are_needed_are_shown() -> None:
    found = shown("scaled_dot_product_attention", "vjp", "V")
    assert [str(s) for s in found.statements] == ["V_bar = A.T @ O_bar"]
    assert [str(s) for s in found.before] == ["S = Q @ K.T/sqrt(d_k)", "A = softmax(S)"]


def test_constraints_are_put_in_after_differentiating_and_named() -> None:
    found = lines("softmax_cross_entropy_gradient", "partial", "z")
    assert "∂L/∂z[j] = ŷ[j]·Σ_c y[c] − y[j]" in found
    assert "= ŷ[j] − y[j]    because Σ_c y[c] = 1" in found
    backward = shown("softmax_cross_entropy_gradient", "vjp", "z")
    assert [str(s) for s in backward.statements] == ["z_bar = L_bar*(sum(y)*yhat - y)"]
    assert [str(s) for s in backward.constrained] == ["z_bar = L_bar*(yhat - y)"]
    assert [str(u) for u in backward.uses] == ["sum(y[c], c) == 1"]


def test_a_proven_claim_gives_the_form() -> None:
    assert "∂pⱼ/∂zₖ = pⱼ·(δⱼₖ − pₖ)" in lines("softmax", "partial", "z")
    assert "∂y/∂z = σ(z)" in lines("softplus", "partial", "z")
    without = present(programs().entries["softplus"], programs()("softplus"), "partial", ["z"])
    assert str(without.statements[0]) == "d(y, z) == 1/(1 + exp(-z))"


def test_a_proven_claim_gives_the_form_of_a_second_derivative() -> None:
    assert "∂²η_t/∂γ² = η₀·⌊t/k⌋·(⌊t/k⌋ − 1)·γ^(⌊t/k⌋−2)" in lines("step_decay", "hessian", "gamma")
    assert "∂²L/(∂wⱼ ∂wₖ) = 2/N·Σᵢ Xᵢⱼ·Xᵢₖ" in lines("mse_weight_gradient", "hessian", "w")


def test_what_all_heads_have_bears_the_subscript_of_the_head() -> None:
    assert "\n  A[i] = softmax(S[i])" in shown("multi_head_attention", "partial", "V").text()


def test_quotients_that_would_be_infinite_are_shown_by_cases() -> None:
    assert "F_C[i,j] = 1/(λ[j] − λ[i]) if i ≠ j, else 0" in shown("pca_eigendecomposition", "partial", "C").text()


def test_a_number_that_all_terms_share_stands_in_front() -> None:
    found = shown("pca_eigendecomposition", "partial", "C").text()
    assert " = 1/2·Σ_m U[i,m]·(U[k,m]·U[l,j] + U[k,j]·U[l,m])·F_C[m,j]\n" in found


def test_a_symmetric_matrix_and_its_inverse_need_no_transpose() -> None:
    found = lines("normal_equation", "vjp")
    assert "Ḡ = −G⁻¹ θ̄ yᵀ X G⁻¹" in found
    assert "ȳ = X G⁻¹ θ̄" in found


def test_new_states_differ_from_old_ones() -> None:
    found = lines("adam", "partial", "m")
    assert "∂m_t[i]/∂m_{t−1}[j] = β₁·δ[i,j]" in found


def test_scatters_are_shown_as_sums_with_conditions() -> None:
    (statement,) = shown("conv2d", "vjp", "x").statements
    assert isinstance(statement, tree.Step)
    assert isinstance(statement.value, tree.Call)
    assert statement.value.function == "sum"
    assert sum(isinstance(a, tree.Comparison) for a in statement.value.arguments) == 2


def test_the_second_derivative_of_the_sigmoid() -> None:
    assert "∂²y/∂z² = y·(1 − y)·(1 − 2·y)" in lines("sigmoid", "hessian", "z")


@pytest.mark.parametrize("entry_id", sampled(ENTRIES, 4))
def test_no_second_derivative_names_an_auxiliary_step(entry_id: str) -> None:
    for symbol in (s.name for s in programs().entries[entry_id].arguments if s.is_differentiable):
        names = {n for s in shown(entry_id, "hessian", symbol).statements for n in tree.names(s)}
        assert not any(n.startswith("d_") and n not in programs()(entry_id).dimensions for n in names)


def test_expectations_stay_expectations() -> None:
    (statement,) = shown("reparametrization_trick", "vjp", "mu").statements
    assert str(statement) == "mu_bar = y_bar*E(deriv(f)(mu + sigma*eps), eps, normal_pdf(eps, 0, 1))"


def test_inner_steps_of_which_cotangents_speak_are_defined() -> None:
    for form in ("vjp", "jvp"):
        found = [str(s) for s in shown("gru_reset_gate", form, "h_prev").before]
        assert found == ["z_r = W_xr @ x + W_hr @ h_prev + b_r", "r = sigmoid(z_r)"]
    found = [str(s) for s in shown("gru_update_gate", "vjp", "h_prev").before]
    assert found == ["a_z = W_xz @ x + W_hz @ h_prev + b_z", "z = sigmoid(a_z)"]
    named = {str(s).split(" ")[0] for s in shown("gru_cell", "vjp", "h_prev").before}
    assert {"a_z", "a_r", "a_h_tilde", "z"} <= named
    where = [str(s) for s in shown("normal_equation", "partial", "X").before]
    assert where == ["G = X.T @ X", "theta = inv(G) @ X.T @ y"]


def test_what_changes_one_element_leaves_the_others() -> None:
    assert lines("q_learning", "partial", "Q")[1] == (
        "∂Q⁺[i,j]/∂Q[k,b] = α·δ[i,s]·δ[j,a]·(γ·δ[k,s′]·[b = argmax_c Q[s′,c]] − δ[k,s]·δ[b,a]) + δ[i,k]·δ[j,b]"
    )
    backward = kb.parse("s = x[k]**2; y[i] = s if i == k else x[i]", "x[n] k:label[n]").vjp(["x"])
    assert "≠" not in backward.text()


def test_arrays_of_one_number_are_not_named() -> None:
    (statement,) = shown("mutual_information", "vjp", "p").statements
    assert str(statement) == "p_bar[x, y] = I_bar*(log(p[x, y]/(p_x[x]*p_y[y])) - 1)"


def test_sizes_stand_as_they_were_declared() -> None:
    assert "∂O/∂K : [s·(h − 1) + r, s·(w − 1) + q, r, q]" in lines("conv_transpose2d", "partial", "K")[0]
    assert "cotangent ȳ : [C_out, ⌊(H + 2·p − r)/s⌋ + 1, " in shown("conv2d", "vjp", "x").text()


def test_steps_of_an_update_stand_as_they_were_stated() -> None:
    assert [str(s) for s in shown("reinforce", "partial", "theta").before] == ["pi = softmax(theta)"]


def test_elements_of_a_chain_follow_each_other() -> None:
    assert "∂V[i]/∂γ = Σ_{s,u} (G⁻¹)[i,s]·P_π[s,u]·V[u]" in lines("bellman_expectation_v", "partial", "gamma")


def test_a_range_that_a_condition_shows_is_not_said_again() -> None:
    assert "h̄ᵤᵢ = Σ_{v: Aᵥᵤ=1} h̄ᵥᵢ′ / Σ_{j: Aᵥⱼ=1} 1" in shown("gnn_aggregation", "vjp", "h").text()
