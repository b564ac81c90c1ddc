"""The wheel, installed alone in an empty environment and used from another folder, is the whole program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# A file that every command would choke on, named so that only a careless look-up reads it.
DECOY = "decoy: [this is, not: a catalogue\n"
COMMANDS = [
    ["list"],
    ["diff", "softmax", "--wrt", "z"],
    ["code", "softmax", "--backward"],
    ["cheatsheet", "softmax"],
]


def run(command: list[str | Path], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would who has nothing of this project on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        command, cwd=folder, env=kept | variables, capture_output=True, text=True, encoding="utf-8", timeout=1200
    )


def succeed(command: list[str | Path], folder: Path, **variables: str) -> str:
    done = run(command, folder, **variables)
    assert done.returncode == 0, f"{command} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def version_of(python: Path) -> tuple[int, ...] | None:
    """The version of a released Python that can make environments, else None."""
    program = (
        "import ensurepip, venv, sys; v = sys.version_info; assert v.releaselevel == 'final'; print(v[0], v[1], v[2])"
    )
    done = run([python, "-c", program], ROOT)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else None


def interpreters() -> dict[tuple[int, ...], Path]:
    """The Pythons on the path and those that pyenv keeps, by version, from the oldest that the project allows."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    folders += sorted(pyenv.glob("versions/*/bin"))
    candidates = [Path(sys.executable)]
    for folder in folders:
        if folder.is_dir():
            candidates += sorted(p for p in folder.iterdir() if re.fullmatch(r"python3\.\d+", p.name))
    found: dict[tuple[int, ...], Path] = {}
    for python in candidates:
        version = version_of(python)
        if version and version >= OLDEST:
            found.setdefault(version, python)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as a package index would get it."""
    folder = tmp_path_factory.mktemp("dist")
    succeed([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], folder)
    (path,) = folder.glob("eqkb-*.whl")
    return path


def test_the_wheel_holds_the_catalogue_the_templates_and_nothing_of_the_tests(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
        catalogue = archive.read("kb/equations.yaml")
    assert catalogue == (ROOT / "equations.yaml").read_bytes()
    sources = [p for package in ("kb", "generators") for p in (ROOT / package).rglob("*") if p.is_file()]
    wanted = {p.relative_to(ROOT).as_posix() for p in sources if "__pycache__" not in p.parts}
    assert any(name.endswith(".j2") for name in wanted)
    packaged = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    site = {p.relative_to(ROOT / "site").as_posix() for p in (ROOT / "site").rglob("*") if p.is_file()}
    assert "conf.py" in site
    carried = {f"generators/site_sources/{name}" for name in [*site, "CONTRIBUTING.md"] if "__pycache__" not in name}
    assert packaged == wanted | carried | {"kb/equations.yaml"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.fixture(scope="module", params=["oldest", "newest"])
def installed(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The scripts of an environment that holds the wheel, and a folder with a decoy catalogue."""
    found = interpreters()
    if request.param == "newest" and len(found) == 1:
        pytest.skip(f"only one Python from {OLDEST[0]}.{OLDEST[1]} on is here, and it is tested as the oldest")
    python = found[min(found) if request.param == "oldest" else max(found)]
    environment = tmp_path_factory.mktemp(str(request.param))
    succeed([python, "-m", "venv", environment], environment)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    succeed([scripts / "python", "-m", "pip", "--quiet", "install", wheel], environment)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "equations.yaml").write_text(DECOY, encoding="utf-8")
    return scripts, elsewhere


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("launcher", ["eqkb", "python -m kb"])
def test_commands_from_another_folder(
    installed: tuple[Path, Path], launcher: str, arguments: list[str], tmp_path: Path
) -> None:
    scripts, folder = installed
    program, *options = launcher.split()
    command: list[str | Path] = [scripts / program, *options, *arguments]
    output = succeed(command, folder, XDG_CACHE_HOME=str(tmp_path))
    assert "softmax" in output.lower() or "diff" in arguments
    assert output.strip()
    assert "decoy" not in output
    assert [p.name for p in folder.iterdir()] == ["equations.yaml"]
    assert (folder / "equations.yaml").read_text(encoding="utf-8") == DECOY


def test_the_decoy_is_noticed_when_it_is_asked_for(installed: tuple[Path, Path], tmp_path: Path) -> None:
    scripts, folder = installed
    done = run([scripts / "eqkb", "validate", "equations.yaml"], folder, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "equations.yaml:" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_the_printed_module_runs_without_eqkb(installed: tuple[Path, Path], tmp_path: Path) -> None:
    scripts, folder = installed
    source = succeed([scripts / "eqkb", "code", "softmax", "--backward"], folder, XDG_CACHE_HOME=str(tmp_path))
    (tmp_path / "softmax.py").write_text(source, encoding="utf-8")
    program = (
        "import sys, numpy as np, softmax\n"
        "p = softmax.softmax(np.array([0.0, np.log(3.0)]))\n"
        "assert np.allclose(p, [0.25, 0.75]), p\n"
        "assert 'kb' not in sys.modules\n"
        "print(sorted(name for name in vars(softmax) if name.startswith('softmax')))\n"
    )
    printed = succeed([scripts / "python", "-c", program], tmp_path)
    assert "softmax_vjp" in printed
