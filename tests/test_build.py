"""The build: all or nothing, only its own files, the same bytes everywhere."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from browsing import Build

from generators.build import MANIFEST, build
from generators.evidence import gather
from kb.catalogue import load_catalogue
from kb.cli import main
from kb.errors import CheckFailed, EqkbError

pytestmark = pytest.mark.usefixtures("no_site")

ROOT = Path(__file__).parent.parent
SMALL: dict[str, Any] = {
    "square": {
        "name": "Square",
        "topic": "small",
        "about": "The product of a number with itself.",
        "symbols": {"x": {}, "y": {"role": "output"}},
        "define": "y = x**2",
        "claims": {"slope": "d(y, x) == 2*x"},
        "differentiate": ["x"],
    },
    "half_norm": {
        "name": "Half of the squared norm",
        "topic": "small",
        "about": "Half of the sum of squares.",
        "symbols": {"v": {"shape": ["n"]}, "s": {"role": "output"}},
        "define": "s = sum(square(v[i]), i)/2",
        "differentiate": ["v"],
    },
}
NAMES = {
    *("catalogue.json", "catalogue.schema.json", "evidence.json", "evidence.schema.json"),
    *("docs/index.md", "cheatsheet/cheatsheet.tex", "cheatsheet/cheatsheet.md"),
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return catalogue_file(tmp_path / "small.yaml", SMALL)


def catalogue_file(path: Path, content: Any) -> Path:
    # By way of JSON, as YAML would write what occurs twice as an alias, which a catalogue may not hold.
    path.write_text(yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False), encoding="utf-8")
    return path


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_build_writes_everything(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "out"
    assert main(["build", "--catalogue", str(small), "-o", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "the site is not included" in captured.err
    made = files_in(out)
    pages = {f"docs/{i}.md" for i in SMALL} | {f"code/{i}.py" for i in SMALL}
    assert set(made) == NAMES | pages | {MANIFEST}
    manifest = json.loads(made[MANIFEST])["files"]
    assert manifest == {n: hashlib.sha256(c).hexdigest() for n, c in made.items() if n != MANIFEST}
    evidence = json.loads(made["evidence.json"])["evidence"]
    assert {i: found["verdict"] for i, found in evidence.items()} == dict.fromkeys(SMALL, "verified")


def test_nothing_names_the_machine(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(load_catalogue(small), out)
    for name, content in files_in(out).items():
        assert str(tmp_path).encode() not in content, name
        assert str(ROOT).encode() not in content, name


def test_nothing_is_written_if_anything_is_refuted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {**SMALL, "square": {**SMALL["square"], "claims": {"slope": "d(y, x) == 3*x"}}}
    path = catalogue_file(tmp_path / "wrong.yaml", wrong)
    out = tmp_path / "out"
    assert main(["build", "--catalogue", str(path), "-o", str(out)]) == 1
    message = capsys.readouterr().err
    assert "square: refuted" in message and "slope" in message and "half_norm: " not in message
    assert not out.exists()
    with pytest.raises(CheckFailed, match="1 entry is refuted"):
        build(load_catalogue(path), out)


def test_a_malformed_catalogue_builds_nothing(tmp_path: Path) -> None:
    path = catalogue_file(tmp_path / "wrong.yaml", {"square": {**SMALL["square"], "define": "y = q**2"}})
    assert main(["build", "--catalogue", str(path), "-o", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_files_of_an_earlier_build_are_removed_and_no_others(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(load_catalogue(small), out)
    own = out / "docs" / "own.md"
    own.write_text("mine")
    (out / "code" / "half_norm.py").write_text("changed")
    fewer = catalogue_file(tmp_path / "fewer.yaml", {"square": SMALL["square"]})
    build(load_catalogue(fewer), out)
    assert own.read_text() == "mine"
    assert not (out / "docs" / "half_norm.md").exists()
    assert (out / "code" / "half_norm.py").read_text() == "changed"
    assert (out / "docs" / "square.md").exists()


def test_files_that_no_build_wrote_are_not_replaced(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "docs").mkdir(parents=True)
    (out / "docs" / "index.md").write_text("mine")
    with pytest.raises(EqkbError, match=r"index\.md was not written by an earlier build"):
        build(load_catalogue(small), out)
    assert files_in(out) == {"docs/index.md": b"mine"}


def test_a_forged_manifest_reaches_nothing_outside(small: Path, tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside.md"
    outside.write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept.md").write_text("kept")
    build(load_catalogue(small), out)
    (out / "link").symlink_to(tmp_path / "folder")
    digests = {outside: "../outside.md", tmp_path / "folder" / "kept.md": "link/kept.md"}
    forged = {name: hashlib.sha256(path.read_bytes()).hexdigest() for path, name in digests.items()}
    forged[str(outside)] = forged["../outside.md"]
    (out / MANIFEST).write_text(json.dumps({"files": forged | json.loads((out / MANIFEST).read_text())["files"]}))
    build(load_catalogue(small), out)
    assert outside.read_text() == "mine"
    assert (tmp_path / "folder" / "kept.md").read_text() == "kept"


def test_a_link_in_the_folder_is_not_followed(small: Path, tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "docs").symlink_to(elsewhere)
    with pytest.raises(EqkbError, match="leads elsewhere by a link"):
        build(load_catalogue(small), out)
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_one_message(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "--catalogue", str(small), "-o", str(small)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("eqkb: ")


@pytest.mark.slow
def test_the_same_catalogue_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    """Whatever the hash seed, the locale, the folder and the evidence being there already."""
    made = []
    for seed, language in (("0", "C"), ("1234", "C.UTF-8")):
        folder = tmp_path / f"at {seed}"
        folder.mkdir()
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "LC_ALL": language,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        command = [sys.executable, "-m", "kb", "build", "--catalogue", str(small), "-o", "out"]
        for _ in range(2):
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            made.append(files_in(folder / "out"))
    assert made[0] == made[1] == made[2] == made[3]


def test_a_later_build_makes_and_writes_what_changed_alone(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "out"
    build(load_catalogue(small), out)
    first = files_in(out)
    for path in (p for p in out.rglob("*") if p.is_file()):
        os.utime(path, (1, 1))
    build(load_catalogue(small), out)
    assert files_in(out) == first
    assert {p.name for p in out.rglob("*") if p.is_file() and p.stat().st_mtime > 1} == {MANIFEST}
    other = {**SMALL, "half_norm": {**SMALL["half_norm"], "about": "Half of what the squares make up."}}
    build(load_catalogue(catalogue_file(small, other)), out)
    written = {name for name in first if (out / name).stat().st_mtime > 1}
    assert {"docs/half_norm.md", "code/half_norm.py", "catalogue.json"} < written
    assert not written & {"docs/square.md", "code/square.py", "cheatsheet/cheatsheet.tex"}


@pytest.mark.slow
def test_evidence_does_not_depend_on_the_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {**SMALL, "cube": {**SMALL["square"], "define": "y = x**3", "claims": {}}}
    more["fourth"] = {**SMALL["square"], "define": "y = x**4", "claims": {}}
    path = catalogue_file(tmp_path / "more.yaml", more)
    found = []
    for jobs in (1, 3):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache{jobs}"))
        evidence = gather(load_catalogue(path), list(more), jobs)
        found.append({i: e.as_json() for i, e in evidence.items()})
    assert list(found[0]) == list(more)
    assert json.dumps(found[0], default=str) == json.dumps(found[1], default=str)


@pytest.mark.slow
def test_the_shipped_catalogue_builds(shipped_build: Build) -> None:
    written = json.loads((shipped_build.out / MANIFEST).read_text(encoding="utf-8"))["files"]
    shipped = load_catalogue()
    expected = 8 + 2 * len(shipped) + len(shipped.records.sheets)
    assert len([name for name in written if not name.startswith("site/")]) == expected
    assert set(files_in(shipped_build.out)) == {*written, MANIFEST}
