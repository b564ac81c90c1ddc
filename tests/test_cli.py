"""The command: what each verb prints, its JSON, its exit codes, and its manners."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest

import kb.cli
from kb.cli.arguments import _JSON, COMMANDS, command_parser

ROOT = Path(__file__).resolve().parent.parent
MINE = """\
{id}:
  name: Mine
  topic: tests
  about: Some text.
  symbols: {{x: {{shape: [n]}}, y: {{shape: [n], role: output}}}}
  define: {define}
  differentiate: [x]
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = kb.cli.main(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kb", *arguments], capture_output=True, text=True, cwd=ROOT, check=False, **options
    )


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.format(id="mine", define="y = 2*softmax(x)"))
    return path


# --- reading --------------------------------------------------------------------------------------


def test_list_has_one_line_for_each_entry(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == len(kb.load_catalogue())
    assert out.splitlines()[0].split()[0] == next(iter(kb.load_catalogue()))


def test_list_selects_by_topic_and_kind(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "list", "--kind", "update", "--json")
    rows = json.loads(out)
    assert rows and all(row["kind"] == "update" for row in rows)
    _, out, _ = run(capsys, "list", "--topic", rows[0]["topic"])
    assert rows[0]["id"] in out and "softmax" not in out


def test_an_unknown_topic_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "list", "--topic", "atention")
    assert (code, out) == (3, "")
    assert "did you mean 'attention'" in err


@pytest.mark.parametrize(
    "words", [["softmax"], ["sofmax"], ["softargmax"], ["Scores", "probabilities"], ["torch.nn.functional.softmax"]]
)
def test_search_finds_by_name_alias_text_and_framework(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "search", *words)
    assert code == 0
    assert any(line.startswith("softmax ") for line in out.splitlines())


def test_search_puts_the_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "search", "softmax")[1].startswith("softmax ")


def test_search_without_a_hit_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "search", "zzzzzz")
    assert (code, out) == (3, "")
    assert "eqkb list" in err
    assert json.loads(run(capsys, "search", "zzzzzz", "--json")[1]) == []


def test_show_holds_everything(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "show", "softmax")
    assert (code, err) == (0, "")
    for part in ("Softmax", "exp(zₖ)", "Symbols", "Derivatives", "∂pⱼ/∂zₖ", "Evidence", "References", "Bridle"):
        assert part in out
    assert "\x1b" not in out
    assert run(capsys, "show", "softmax")[1] == out
    assert run(capsys, "show", "softargmax")[1] == out


def test_show_json_has_stable_keys(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(run(capsys, "show", "softmax", "--json")[1])
    assert set(shown) == {
        *("id", "name", "kind", "topic", "about", "aliases", "tags", "symbols", "define", "text", "latex", "claims"),
        *("requires", "kinks", "differentiate", "differentiable", "objective", "frameworks", "related", "sources"),
        *("variants", "notes", "references", "evidence"),
    }
    assert [s["name"] for s in shown["symbols"]] == ["z", "p"]
    assert shown["symbols"][0]["shape"] == ["C"]


def test_a_kept_page_is_made_anew_when_it_is_stale_truncated_or_foreign(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(capsys, "--catalogue", str(mine), "show", "mine")[1]
    cache = Path(os.environ["XDG_CACHE_HOME"]) / "eqkb"
    for content in ("", "x\ny\n{}", "x"):
        for page in cache.glob("pages-*.json"):
            page.write_text(content or page.read_text()[:-20])
        assert run(capsys, "--catalogue", str(mine), "show", "mine")[1] == first
    mine.write_text(MINE.format(id="mine", define="y = 3*x"))
    assert "3·x" in run(capsys, "--catalogue", str(mine), "show", "mine")[1]


# --- formulas -------------------------------------------------------------------------------------


def test_latex_of_an_entry_and_of_its_derivative(capsys: pytest.CaptureFixture[str]) -> None:
    assert r"\frac" in run(capsys, "latex", "softmax")[1]
    assert r"\delta_{jk}" in run(capsys, "latex", "softmax", "--wrt", "z")[1]
    assert json.loads(run(capsys, "latex", "softmax", "--wrt", "z", "--form", "vjp", "--json")[1])["form"] == "vjp"


@pytest.mark.parametrize("form", ["partial", "jacobian", "vjp", "jvp", "hessian"])
@pytest.mark.parametrize("style", ["text", "latex", "numpy"])
def test_diff_has_every_form_in_every_format(form: str, style: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "diff", "sigmoid", "--wrt", "z", "--form", form, "--format", style)
    assert (code, err) == (0, "")
    assert out.strip()
    if style == "numpy":
        compile(out, "generated", "exec")


def test_diff_of_attention_is_what_an_expert_writes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "diff", "scaled_dot_product_attention", "--wrt", "Q", "--form", "vjp")
    assert code == 0
    assert "Q : [n, d_k]" in out and "cotangent Ō : [n, d_v]" in out
    assert "Ā = Ō Vᵀ" in out
    assert "S̄ = A ⊙ (Ā − rowsum(A ⊙ Ā))" in out
    assert "Q̄ = S̄ K / √d_k" in out


def test_diff_of_an_update_tells_which_new_states_stay(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "diff", "momentum", "--wrt", "theta", "--form", "jvp")[1]
    assert "  θ̇_t = θ̇_{t−1}\n  v̇_t = 0\n" in out


def test_diff_tells_the_constraint_that_it_used(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "diff", "softmax_cross_entropy_gradient", "--wrt", "z")[1]
    assert "because Σ_c y[c] = 1" in out


def test_diff_of_an_expression(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ("--expr", "S = W @ x + b; y = softmax(S)", "--symbols", "W[C,d] x[d] b[C]")
    code, out, _ = run(capsys, "diff", *typed, "--wrt", "W")
    assert code == 0
    assert "∂y/∂W : [C, C, d]" in out
    shown = json.loads(run(capsys, "diff", *typed, "--wrt", "W", "--form", "jacobian", "--json")[1])
    assert shown["shape"] == ["C", "C", "d"]
    assert set(shown) == {"id", "wrt", "form", "shape", "text", "latex", "steps", "uses", "code", "verdict"}


def test_an_expression_may_begin_with_a_minus_or_come_from_stdin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "−2·x" in run(capsys, "diff", "--expr", "-x**2", "--symbols", "x", "--wrt", "x")[1]
    monkeypatch.setattr(sys, "stdin", io.StringIO("a = x**2\ny = 3*a\n"))
    code, out, _ = run(capsys, "diff", "--expr", "-", "--symbols", "x", "--wrt", "x")
    assert code == 0 and "6·x" in out


def test_several_symbols_in_one_backward_pass(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "diff", "linear", "--wrt", "W", "--wrt", "x", "--form", "vjp")[1]
    assert "W̄ =" in out and "x̄ =" in out


def test_latex_prints_a_claim(capsys: pytest.CaptureFixture[str]) -> None:
    equation = kb.load_catalogue()["softmax"]
    code, out, err = run(capsys, "latex", "softmax", "--claim", "adds_up_to_1")
    assert (code, out, err) == (0, equation.formula_latex(equation.claim("adds_up_to_1").text) + "\n", "")
    shown = json.loads(run(capsys, "latex", "softmax", "--claim", "adds_up_to_1", "--json")[1])
    assert shown == {
        "id": "softmax",
        "wrt": [],
        "form": None,
        "latex": out.removesuffix("\n"),
        "claim": "adds_up_to_1",
        "about": equation.claim("adds_up_to_1").about,
        "refuted": False,
    }


def test_code_is_a_module_that_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for backward in ([], ["--backward"]):
        source = run(capsys, "code", "softmax", *backward)[1]
        names: dict[str, Any] = {}
        exec(compile(source, "softmax.py", "exec"), names)  # noqa: S102 - generated modules are there to be run
        assert abs(names["softmax"]([0.0, 0.0])[0] - 0.5) < 1e-15
        assert ("softmax_vjp" in names) == bool(backward)
        assert "import kb" not in source


# --- work -----------------------------------------------------------------------------------------


def test_validate_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "validate")
    assert (code, err) == (0, "")
    assert "well formed" in out


def test_validate_lists_all_faults_with_their_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(MINE.format(id="one", define="y = 2*q") + MINE.format(id="two", define="y = x +"))
    code, out, err = run(capsys, "validate", str(path))
    assert (code, out) == (2, "")
    assert err.splitlines()[0].startswith(f"{path}:6:17: one.define[0]: 'q'")
    assert err.splitlines()[1].startswith(f"{path}:13:18: two.define[0]:")
    report = json.loads(run(capsys, "validate", str(path), "--json")[1])
    assert report["valid"] is False
    assert [(f["line"], f["column"]) for f in report["faults"]] == [(6, 17), (13, 18)]


def test_check_gathers_evidence_that_show_then_reads(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not checked" in run(capsys, "--catalogue", str(mine), "show", "mine")[1]
    code, out, err = run(capsys, "check", "--catalogue", str(mine))
    assert (code, err) == (0, "")
    assert "mine" in out and "verified" in out
    assert "verified:" in run(capsys, "--catalogue", str(mine), "show", "mine")[1]
    assert "verified:" in run(capsys, "--catalogue", str(mine), "diff", "mine", "--wrt", "x")[1]


def test_check_fails_on_a_false_claim_and_shows_the_counter_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "false.yaml"
    path.write_text(MINE.format(id="mine", define="y = 2*x") + "  claims: {wrong: 'd(y[i], x[j]) == delta(i, j)*3'}\n")
    code, out, _ = run(capsys, "check", "--catalogue", str(path))
    assert code == 1
    assert "refuted" in out and "counter-example" in out


# --- catalogues -----------------------------------------------------------------------------------


def test_a_catalogue_option_stands_before_or_after_the_command(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = run(capsys, "--catalogue", str(mine), "list")
    after = run(capsys, "list", "--catalogue", str(mine))
    assert before == after
    assert before[1].split()[0] == "mine" and len(before[1].splitlines()) == 1


def test_the_option_can_be_repeated_and_shipped_entries_stay(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = mine.with_name("other.yaml")
    other.write_text(MINE.format(id="other", define="y = mine(x)"))
    options = ("--catalogue", str(mine), "--catalogue", str(other))
    assert [line.split()[0] for line in run(capsys, *options, "list")[1].splitlines()] == ["mine", "other"]
    assert run(capsys, "--catalogue", str(other), "list", "--catalogue", str(mine))[0] == 0
    assert run(capsys, *options, "show", "softmax")[0] == 0
    assert "softmax" in run(capsys, *options, "code", "other")[1] or run(capsys, *options, "code", "other")[0] == 0


# --- wrong usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["shwo", "softmax"], 2, "did you mean 'show'"),
        (["show"], 2, "--help"),
        (["show", "sofmax"], 3, "did you mean 'softmax'"),
        (["list", "--frm", "x"], 2, "--help"),
        (["diff", "softmax"], 2, "--wrt SYMBOL"),
        (["diff", "softmax", "--wrt", "w"], 3, "symbols are z, p"),
        (["diff", "softmax", "--wrt", "p"], 2, "output"),
        (["diff", "cross_entropy_with_logits", "--wrt", "y"], 2, "label"),
        (["diff", "softmax", "--wrt", "z", "--form", "vjpp"], 2, "did you mean 'vjp'"),
        (["diff", "softmax", "--wrt", "z", "--symbols", "x"], 2, "--symbols belongs to --expr"),
        (["diff", "softmax", "--expr", "x", "--wrt", "z"], 2, "not both"),
        (["diff", "--wrt", "z"], 2, "--expr"),
        (["diff", "linear", "--wrt", "x", "--wrt", "W"], 2, "takes one symbol"),
        (["diff", "softmax", "--wrt", "z", "--json", "--format", "latex"], 2, "--format"),
        (["diff", "--expr", "y = q", "--symbols", "x", "--wrt", "x"], 2, "expression:1:5"),
        (["diff", "--expr", "y = x", "--symbols", "x:pos", "--wrt", "x"], 2, "domain or kind"),
        (["latex", "softmax", "--form", "vjp"], 2, "--wrt"),
        (["latex", "softmax", "--claim", "jacobain"], 3, "did you mean 'jacobian'"),
        (["latex", "softmax", "--claim", "q"], 3, "its claims are jacobian"),
        (["latex", "softmax", "--claim", "jacobian", "--wrt", "z"], 2, "leave one of them out"),
        (["latex", "softmax", "--claim", "jacobian", "--format", "md"], 2, "leave out --claim"),
        (["cheatsheet", "--format", "pdf"], 2, "-o"),
        (["cheatsheet", "softmax", "--topic", "attention"], 2, "not both"),
        (["validate", "no/such/file.yaml"], 2, "no/such/file.yaml"),
        (["--catalogue", "no/such/file.yaml", "list"], 2, "no/such/file.yaml"),
        (["list", "--kind", "definitions"], 2, "did you mean 'definition'"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    arguments: Sequence[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err and "eqkb itself" not in err


def test_no_command_prints_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert "usage: eqkb" in err


def test_version_and_help_succeed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert (code, out) == (0, f"eqkb {kb.__version__}\n")
    assert run(capsys, "--help")[0] == 0


def test_every_command_and_every_option_has_help() -> None:
    (commands,) = [a for a in command_parser()._actions if hasattr(a, "choices") and isinstance(a.choices, dict)]
    assert commands.choices is not None
    assert tuple(commands.choices) == COMMANDS
    for parser in commands.choices.values():
        assert parser.description
        for action in parser._actions:
            assert action.help or not action.option_strings


# --- manners --------------------------------------------------------------------------------------


def test_an_error_of_eqkb_itself_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("kb.cli.read.catalogue_of", broken)
    monkeypatch.delenv("EQKB_DEBUG", raising=False)
    code, out, err = run(capsys, "list")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1 and "report" in err
    monkeypatch.setenv("EQKB_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        kb.cli.main(["list"])


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kb.cli.read.catalogue_of", interrupted)
    assert run(capsys, "list")[0] == 130


def wait_until_read(pipe: IO[str]) -> None:
    """Wait until the other process has taken all that was written."""
    left = array("i", [1])
    deadline = time.monotonic() + 60
    while left[0]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        fcntl.ioctl(pipe, termios.FIONREAD, left)


def test_a_signal_interrupts_without_a_traceback() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "kb", "diff", "--expr", "-", "--symbols", "x", "--wrt", "x"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # A command that a shell starts in the background ignores the signal, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdin is not None
    process.stdin.write("x")
    process.stdin.flush()
    wait_until_read(process.stdin)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_reader_that_stops_reading_is_no_error() -> None:
    shell = f"{sys.executable} -m kb show softmax | head -1; {sys.executable} -m kb list | true"
    run = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.stderr == ""
    assert run.stdout.startswith("Softmax")


def test_any_locale_prints_the_same() -> None:
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(
        [sys.executable, "-m", "kb", "show", "softmax"], capture_output=True, cwd=ROOT, check=True, env=plain
    )
    assert "∂pⱼ/∂zₖ" in shown.stdout.decode("utf-8")


def test_the_command_runs_from_anywhere_and_ignores_a_decoy(tmp_path: Path) -> None:
    (tmp_path / "equations.yaml").write_text("not: a catalogue")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        [sys.executable, "-m", "kb", "list"], capture_output=True, text=True, cwd=tmp_path, check=True, env=environment
    )
    assert "softmax" in shown.stdout


def test_list_show_and_search_load_no_heavy_library() -> None:
    code = (
        "import sys, kb.cli; kb.cli.main({arguments}); kb.cli.main({arguments});"
        "print({{'sympy', 'numpy', 'pydantic', 'mpmath', 'yaml', 'jinja2'}} & set(sys.modules), file=sys.stderr)"
    )
    for arguments in (["list"], ["show", "softmax"], ["search", "sofmax"]):
        command("list")
        run = subprocess.run(
            [sys.executable, "-c", code.format(arguments=arguments)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        assert run.stderr.strip() == "set()"


def test_validate_loads_neither_sympy_nor_numpy() -> None:
    code = (
        "import sys, kb.cli; kb.cli.main(['validate']);"
        "print({'sympy', 'numpy', 'mpmath'} & set(sys.modules), file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stderr.strip() == "set()"


def test_the_keys_that_the_help_promises_are_there(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = {
        "list": ["list"],
        "search": ["search", "softmax"],
        "show": ["show", "softmax"],
        "latex": ["latex", "softmax"],
        "diff": ["diff", "softmax", "--wrt", "z"],
        "code": ["code", "softmax"],
        "cheatsheet": ["cheatsheet", "softmax"],
        "export": ["export", "softmax"],
        "check": ["check", "--catalogue", str(mine)],
        "validate": ["validate"],
    }
    for name, arguments in commands.items():
        code, out, _ = run(capsys, *arguments, "--json")
        assert code == 0
        shown = json.loads(out)
        shown = shown[0] if isinstance(shown, list) else shown
        promised = re.sub(r"\(.*?\)", "", _JSON[name].partition(" with ")[2]).removesuffix(", the best first")
        assert set(shown) == set(promised.replace(" ", "").split(","))


def test_latex_prints_what_an_objective_chooses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "latex", "gan_minimax", "--goal") == (0, "\\min_{G} \\; \\max_{D} \\; V\n", "")
    _, out, _ = run(capsys, "latex", "gan_minimax", "--goal", "--json")
    assert json.loads(out)["text"] == "min_G max_D V"
    for arguments, words in (
        (["softmax", "--goal"], "softmax is no objective"),
        (["gan_minimax", "--goal", "--where"], "leave out --where"),
        (["gan_minimax", "--goal", "--format", "md"], "leave out --goal"),
    ):
        code, _, err = run(capsys, "latex", *arguments)
        assert code == 2 and words in err


def test_latex_prints_formulas_for_typst(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "latex", "sigmoid", "--format", "typ") == (0, "$ y = frac(1, 1 + e^(- z)) $\n", "")
    _, out, _ = run(capsys, "latex", "gan_minimax", "--goal", "--format", "typ", "--json")
    assert json.loads(out)["typst"].startswith("$ min")
    for option in ("--where", "--macros", "--env=align"):
        code, _, err = run(capsys, "latex", "softmax", "--format", "typ", option)
        assert code == 2 and f"leave out {option.partition('=')[0]}" in err
