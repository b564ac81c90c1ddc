"""The project's own files agree with each other: pins, versions, commands, layers, links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kb

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(lock: str) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in read(f"requirements/{lock}").splitlines())
    return [Requirement(line) for line in lines if line]


def declared(*groups: str) -> list[Requirement]:
    """What pyproject.toml asks for: the run-time dependencies and those of some groups."""
    wanted = [Requirement(text) for text in PYPROJECT["project"]["dependencies"]]
    for group in groups:
        for item in PYPROJECT["dependency-groups"].get(group) or PYPROJECT["project"]["optional-dependencies"][group]:
            if isinstance(item, str):
                wanted.append(Requirement(item))
            else:
                wanted += declared(item["include-group"])
    return wanted


LOCKS = {
    "run.txt": ["build"],
    "site.txt": ["site"],
    "dev.txt": ["dev", "site", "anki", "typst"],
    "oracles.txt": ["oracles"],
    "readers.txt": ["readers"],
    "browser.txt": ["browser"],
}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_pinned_within_its_bounds(lock: str) -> None:
    found = pins(lock)
    for wanted in declared(*LOCKS[lock]):
        versions = [pin for pin in found if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert versions, f"{lock} lacks {wanted.name}: run `make lock`"
        for pin in versions:
            (specifier,) = pin.specifier
            assert specifier.operator == "=="
            assert wanted.specifier.contains(specifier.version), f"{lock}: {pin} against {wanted}: run `make lock`"


def test_the_locks_agree_and_come_from_no_particular_index() -> None:
    by_lock = {lock: {(p.name, str(p.marker)): str(p.specifier) for p in pins(lock)} for lock in LOCKS}
    assert by_lock["run.txt"].items() <= by_lock["dev.txt"].items()
    common = {name for name, _ in by_lock["oracles.txt"]} & {name for name, _ in by_lock["dev.txt"]}
    assert common
    for key, version in by_lock["oracles.txt"].items():
        assert key[0] not in common or by_lock["dev.txt"].get(key, version) == version
    for lock in LOCKS:
        assert not re.search(r"://|^\s*-", read(f"requirements/{lock}"), re.M), lock


def makefile_targets() -> tuple[set[str], set[str]]:
    """The targets that are declared phony, and those that have a rule and are no file in an environment."""
    text = read("Makefile").replace("\\\n", " ")
    phony = {name for line in re.findall(r"^\.PHONY:(.*)$", text, re.M) for name in line.split()}
    rules = set(re.findall(r"^([A-Za-z][\w-]*):(?!=)", text, re.M))
    return phony, rules


def test_all_targets_are_phony() -> None:
    phony, rules = makefile_targets()
    assert phony == rules


@pytest.mark.parametrize("document", [*DOCUMENTS, ".ci/run"])
def test_documented_make_commands_exist(document: str) -> None:
    _, rules = makefile_targets()
    commands = re.findall(r"(?:`|^[$ ]*)make((?: +[\w-]+)*)(?=`| *$| +#)", read(document), re.M)
    for words in commands:
        assert set(words.split()) <= rules, f"{document}: make{words}"
    if document == "README.md":
        assert {"", " test"} <= set(commands)


def test_the_continuous_check_runs_the_documented_test_command_first() -> None:
    loop = re.search(r"for target in ([\w -]+);", read(".ci/run"))
    assert loop
    assert loop[1].split() == ["test", "check-all"]


def test_one_version_everywhere() -> None:
    version = PYPROJECT["project"]["version"]
    assert kb.__version__ == version
    assert yaml.safe_load(read("CITATION.cff"))["version"] == version
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M)
    assert newest
    assert newest[1] == version


def project_texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the project; not what was made or installed."""
    for top in sorted(ROOT.iterdir()):
        hidden = top.name.startswith(".") and top.name not in {".ci", ".gitignore"}
        if hidden or top.name in {"build", "dist"}:
            continue
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, path.read_text(encoding="utf-8", errors="replace")


def test_no_path_of_one_machine_is_in_the_project() -> None:
    machine_path = re.compile(r"(?<![\w.:/}])/(?:home|opt|root|tmp|work|Users)/\w")
    seen = 0
    for path, text in project_texts():
        seen += 1
        found = machine_path.search(text)
        assert not found, f"{path.relative_to(ROOT)} names {found[0]}"
    assert seen > 20


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_inside_the_project_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", read(document)):
        if "://" not in target:
            assert (ROOT / target).exists(), f"{document}: {target}"


def test_every_module_of_kb_has_a_layer() -> None:
    (contract,) = [c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    layered = {name.strip(" ()") for layer in contract["layers"] for name in re.split(r"[:|]", layer)}
    for path in (ROOT / "kb").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            name = f"kb.{path.stem}"
            assert path.stem == "__init__" or name in layered, f"pyproject.toml puts {name} in no layer"
