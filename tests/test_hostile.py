"""Text from strangers: answered with one clear message, quickly, in little memory, and without effect."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from agreement import shipped

import kb
from kb.errors import EqkbError

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 30  # what is refused takes one or less; what is not never ends
MEMORY = 500 * 2**20
SYMBOLS = "x y[n] z[n] A[n,n] B[m,n] k:label[n]"


@pytest.fixture(scope="module")
def catalogue() -> kb.Catalogue:
    found: kb.Catalogue = shipped()
    return found


def answer(text: str, catalogue: kb.Catalogue) -> str:
    """What a person is told about an expression, and how long that took."""
    begun = time.process_time()
    with pytest.raises(EqkbError) as caught:
        kb.parse(text, SYMBOLS, catalogue).derivative("x").text()
    assert time.process_time() - begun < SECONDS
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message and len(message) < 2500
    return message


CODE = [
    "__import__('os').system('id')",
    "x.__class__.__mro__",
    "x.T.__class__",
    "(lambda: x)()",
    "lambda x: x",
    "[i for i in z]",
    "{i: 1 for i in z}",
    "f'{x}'",
    '"""x"""',
    "x := 2",
    "print(x)",
    "exec(x)",
    "open(x)",
    "x if",
    "(yield)",
    "await x",
    "*x",
    "**x",
    "sum(*z)",
    "sum(z, axis=0)",
    "x;import os",
    "x\n#\nimport os",
    "z[0:2]",
    "z[::2]",
    "x and 1",
    "None",
    "True*x",
    "2j*x",
    "x^2",
    "x & 1",
    "~x",
    "!x",
    "`x`",
    "x\\y",
    "x$y",
    "µ*x",
    "x\u200b",
    "х + 1",
    "{{7*7}}",
    "<script>",
    "\\input{x}",
    "\\N{DIGIT ONE}",
]


@pytest.mark.parametrize("text", CODE)
def test_what_is_not_the_language_is_refused_by_name(text: str, catalogue: kb.Catalogue) -> None:
    answer(text, catalogue)


CONSTANTS = [
    "9**9**9**9",
    "2**10**10",
    "10**10**10*x",
    "x*7**7**7**7",
    "(2**1000)**1000*x",
    "2.5**3000*x",
    "exp(10**9)*x",
    "1e999999*x",
    "1e900*1e900*x",
    "x*0.1**10000",
    "(1 + 1e-900)**(2**900)*x",
    "x**(9**9**9)",
    "factorial(10**7)",
    "binomial(10**7, 5*10**6)",
    "zeros(100000000)",
    "eye(10**9)",
    "matpow(A, 100000)",
    "z[10**30]",
    "z[99999999999999999999999]",
    "1/0*x",
    "x/(1 - 1)",
    "0**-1*x",
    "x % 0",
    "x//0",
]


@pytest.mark.parametrize("text", CONSTANTS)
def test_constants_that_explode_are_refused(text: str, catalogue: kb.Catalogue) -> None:
    answer(text, catalogue)


LARGE = {
    "minuses": "-" * 100_000 + "x",
    "few minuses": "-" * 5_000 + "x",
    "transposes": "x" + ".T" * 100_000,
    "few transposes": "A" + ".T" * 4_000,
    "parentheses": "(" * 100_000 + "x" + ")" * 100_000,
    "few parentheses": "(" * 4_000 + "x" + ")" * 4_000,
    "brackets": "[" * 4_000 + "x" + "]" * 4_000,
    "subscripts": "z" + "[0]" * 3_000,
    "nested subscripts": "z[" * 3_000 + "0" + "]" * 3_000,
    "calls": "exp(" * 2_000 + "x" + ")" * 2_000,
    "calls of results": "x" + "()" * 4_000,
    "powers": "x" + "**x" * 3_000,
    "conditions": "x if x > 0 else " * 600 + "x",
    "nots": "x if " + "not " * 2_000 + "x > 0 else x",
    "terms": "+".join(["x"] * 20_000),
    "factors": "*".join(["x"] * 20_000),
    "values": "max(" + ",".join(["x"] * 3_000) + ")",
    "items": "[" + ",".join(["x"] * 3_000) + "]",
    "arguments": "softmax(" + ",".join(["x"] * 3_000) + ")",
    "unclosed": "(" * 9_000,
    "names": "x" * 9_000 + "y",
    "digits": "9" * 9_000 + "*x",
    "statements": ";".join(f"a{n} = q" for n in range(900)),
}


@pytest.mark.parametrize("what", LARGE)
def test_large_texts_are_refused(what: str, catalogue: kb.Catalogue) -> None:
    answer(LARGE[what], catalogue)


def test_a_long_chain_is_not_a_nest(catalogue: kb.Catalogue) -> None:
    assert kb.parse("+".join(["x"] * 2_000), "x", catalogue).derivative("x").expr == 2_000
    assert str(kb.parse("*".join(["x"] * 1_000), "x", catalogue).expr) == "x**1000"


def test_ninety_levels_are_fine(catalogue: kb.Catalogue) -> None:
    assert kb.parse("(" * 90 + "x" + ")" * 90, "x", catalogue).derivative("x").expr == 1
    assert kb.parse("-" * 90 + "x", "x", catalogue).derivative("x").expr == 1


def test_steps_that_double_are_refused_or_kept_by_name(catalogue: kb.Catalogue) -> None:
    steps = ["a0 = sin(x)"] + [f"a{n} = a{n - 1}*cos(a{n - 1})" for n in range(1, 60)]
    equation = kb.parse(";".join(steps), "x", catalogue)
    begun = time.process_time()
    assert len(equation.steps) == 60
    with pytest.raises(EqkbError, match="too large"):
        equation.expr  # noqa: B018 - the look-up is the test
    assert equation.vjp("x").text()
    assert time.process_time() - begun < SECONDS


NAMES = ["beta", "gamma", "N", "S", "E", "I", "np", "out", "self", "Q", "zeta", "Symbol", "oo_", "d", "delta", "pi_"]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_a_symbol(name: str, catalogue: kb.Catalogue) -> None:
    equation = kb.parse(f"result = {name}**2*sin({name})", name, catalogue)
    value = equation.symbols[name].sympy
    assert equation.expr.free_symbols == {value}
    assert abs(equation.lambdify()(2.0) - 4 * 0.9092974268256817) < 1e-12
    assert equation.derivative(name).latex()


def test_a_symbol_may_be_called_like_a_function(catalogue: kb.Catalogue) -> None:
    equation = kb.parse("y = sum(sum)*exp", "sum[n] exp", catalogue)
    assert equation.lambdify()([1.0, 2.0], 3.0) == 9.0


# --- in a process of its own ----------------------------------------------------------------------


def children_time() -> float:
    """Seconds that processors spent on the commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def limited(*arguments: str, text: str | None = None, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command with at most 500 MB, in an empty home."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    begun = children_time()
    run = subprocess.run(
        [sys.executable, "-m", "kb", *arguments],
        capture_output=True,
        text=True,
        input=text,
        cwd=folder,
        env=environment,
        preexec_fn=limit,
        timeout=30,
        check=False,
    )
    assert children_time() - begun < 3 * SECONDS
    assert "Traceback" not in run.stderr and "eqkb itself" not in run.stderr
    return run


@pytest.mark.parametrize("what", ["parentheses", "minuses", "transposes", "terms", "nested subscripts"])
def test_the_command_answers_in_little_memory(what: str, tmp_path: Path) -> None:
    # Longer than a command line may be, so that it comes through stdin.
    run = limited(
        "diff", "--expr", "-", "--symbols", SYMBOLS, "--wrt", "x", text=LARGE[what] + " " * 200_000, folder=tmp_path
    )
    assert run.returncode == 2 and run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


BODY = """
  name: Name
  topic: tests
  about: Some text.
  symbols: {x: {shape: [n]}, y: {shape: [n], role: output}}
  define: y = 2*x
"""
FILES = {
    "alias bomb": "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50)),
    "deep lists": "a: " + "[" * 100_000,
    "deep mappings": "a: " + "{a: " * 50_000,
    "python tag": "a: !!python/object/apply:os.system [id]",
    "not YAML": "a: b: c",
    "empty": "",
    "a list": "- a\n- b",
    "many documents": "a: 1\n---\nb: 2",
    "a path as id": '"../../x":' + BODY,
    "a dotted id": "a.b:" + BODY,
    "duplicate ids": "one:" + BODY + "one:" + BODY,
    "shipped id": "softmax:" + BODY,
    "unknown key": "one:" + BODY + "  defne: y = x\n",
    "no definition": "one:" + BODY.replace("define", "notes"),
    "a number for text": "one:" + BODY.replace("Some text.", "1.0"),
    "text for a number": "one:" + BODY.replace("x: {shape: [n]}", "x: {shape: [n]}, e: {default: 1e-8x}"),
    "itself": "one:" + BODY.replace("2*x", "one(x)"),
    "circle": "one:" + BODY.replace("2*x", "two(x)") + "two:" + BODY.replace("2*x", "one(x)"),
    "square": "one:" + BODY.replace("x: {", "A: {shape: [n, n]}, x: {").replace("2*x", "A**2 @ x"),
    "range": "one:" + BODY.replace("y = 2*x", "'y[i] = x[i + 1]'"),
    "early": "one:" + BODY.replace("y = 2*x", "[y = a, a = x]"),
    "unbound": "one:" + BODY.replace("y = 2*x", "'y[i] = x[j]'"),
    "shadowing": "one:" + BODY.replace("y = 2*x", "'y[i] = sum(x[i], i)'"),
    "captured": "one:" + BODY.replace("y = 2*x", "'y[i] = sum(x[n], n)'"),
    "shapes": "one:" + BODY.replace("x: {shape: [n]}", "x: {shape: [m]}"),
    "same sides": "one:" + BODY + "  claims: {c: y == y}\n",
    "not differentiable": "one:" + BODY.replace("x: {shape: [n]}", "x: {shape: [n]}, k: {kind: integer}")
    + "  differentiate: [k]\n",
}  # fmt: skip


@pytest.mark.parametrize("what", FILES)
def test_bad_files_are_refused_with_a_place(what: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(FILES[what])
    run = limited("validate", str(path), folder=tmp_path)
    assert run.returncode == 2 and run.stdout == ""
    lines = run.stderr.splitlines()
    assert lines and all(line.startswith(f"{path}:") for line in lines[:1])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \xe9", b"\x00", b"a: \x1b[0m", b"\xef\xbb\xbf"])
def test_what_is_no_text_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    assert limited("validate", str(path)).returncode == 2


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.yaml", Path("/dev/null")):
        assert limited("validate", str(path)).returncode == 2


def test_a_faulty_catalogue_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("one:" + BODY.replace("2*x", "2*q"))
    for arguments in (["build", "-o", "out"], ["cheatsheet", "-o", "sheet.tex"]):
        run = limited("--catalogue", str(path), *arguments, folder=tmp_path)
        assert run.returncode == 2, run.stdout
        assert "'q'" in run.stderr
        assert list(tmp_path.iterdir()) == [path]


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("one:" + BODY.replace("Some text.", '"a \\e[31m b \\u202e c"'))
    run = limited("--catalogue", str(path), "show", "one")
    assert "\x1b" not in run.stdout + run.stderr and "\u202e" not in run.stdout + run.stderr
