"""The JSON Schemas of catalogue.json and evidence.json, against what is written, by a validator of its own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import agreement
import pytest
import yaml
from hostile import catalogue as hostile_catalogue
from jsonschema import Draft202012Validator

import kb.cli
from generators.export import dump, evidence_schema, export, export_evidence, schema
from generators.views import views
from kb.catalogue import Catalogue, load_catalogue
from kb.evidence import Check, Evidence, check
from kb.model import Kind

INVENTIONS = Path(__file__).parent / "inventions.yaml"


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    found: Catalogue = agreement.shipped()
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    path = tmp_path_factory.mktemp("hostile") / "hostile.yaml"
    path.write_text(yaml.safe_dump(hostile_catalogue(), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return load_catalogue(path)


def exported(catalogue: Catalogue, ids: list[str], evidence: dict[str, Evidence] | None = None) -> Any:
    return json.loads(export(views(catalogue, ids, evidence)))


def refusals(text: str, document: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(json.loads(text)).iter_errors(document)]


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a schema that lists its keys."""
    if isinstance(node, dict):
        if "properties" in node:
            yield node
        for value in node.values():
            yield from parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from parts(value)


def strict(text: str) -> str:
    """The schema without room for further keys."""
    made = json.loads(text)
    for part in parts(made):
        part["additionalProperties"] = False
    return json.dumps(made)


@pytest.mark.parametrize("text", [schema(), evidence_schema()])
def test_it_is_a_schema_that_describes_every_key(text: str) -> None:
    made = json.loads(text)
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(made)
    for part in parts(made):
        assert part["description"]
        assert part["required"] == list(part["properties"])
        assert "additionalProperties" not in part
        for key, described in part["properties"].items():
            target = described if "$ref" not in described else made["$defs"][described["$ref"].rsplit("/", 1)[1]]
            assert target.get("description"), key


def test_entries_of_every_kind_are_as_it_says(shipped: Catalogue) -> None:
    ids = [next(i for i in shipped if shipped.entry(i).kind == kind) for kind in get_args(Kind)]
    ids += ["gru_cell", next(i for i in shipped if shipped.entry(i).variants)]
    document = exported(shipped, ids)
    assert refusals(strict(schema()), document) == []
    assert any(e["goal"] for e in document["entries"])
    assert any(v["comparison"] for e in document["entries"] for v in e["variants"])


def test_inventions_and_hostile_text_are_as_it_says(hostile: Catalogue) -> None:
    inventions = load_catalogue(INVENTIONS)
    assert refusals(strict(schema()), exported(inventions, list(inventions)[:4])) == []
    evidence = {"hostile": check(hostile["hostile"])}
    document = exported(hostile, list(hostile), evidence)
    assert refusals(strict(schema()), document) == []
    assert {c["verdict"] for c in document["entries"][0]["claims"]} == {"verified"}
    written = json.loads(export_evidence(evidence))
    assert refusals(strict(evidence_schema()), written) == []
    assert any(c["counterexample"] for c in written["evidence"]["hostile"]["checks"])


def test_numbers_that_are_not_finite_are_text() -> None:
    checks = tuple(Check("code", "it", "refuted", max_error=e, order=e) for e in (float("inf"), float("nan"), 0.5))
    written = json.loads(export_evidence({"x": Evidence("x", checks)}))
    assert [c["max_error"] for c in written["evidence"]["x"]["checks"]] == ["inf", "nan", 0.5]
    assert refusals(strict(evidence_schema()), written) == []
    written["evidence"]["x"]["checks"][0]["max_error"] = "large"
    assert refusals(evidence_schema(), written)


def test_a_later_version_may_add_keys(shipped: Catalogue) -> None:
    document = exported(shipped, ["softmax"])
    document["later"] = document["entries"][0]["later"] = document["entries"][0]["symbols"][0]["later"] = 1
    assert refusals(schema(), document) == []


WRONG: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "another format": (("format",), 2),
    "entries by id": (("entries",), {}),
    "a kind that is none": (("entries", 0, "kind"), "theorem"),
    "an id with blanks": (("entries", 0, "id"), "Soft max"),
    "text for a list": (("entries", 0, "notes"), "one note"),
    "a formula that is text": (("entries", 0, "formula"), "p = softmax(z)"),
    "no evidence": (("entries", 0, "evidence"), None),
    "a size that is a number": (("entries", 0, "symbols", 0, "shape"), [3]),
    "a default that is a number": (("entries", 0, "symbols", 0, "default"), 0.5),
    "a form that is not exported": (("entries", 0, "derivatives", 0, "form"), "hessian"),
    "a verdict that is none": (("entries", 0, "claims", 0, "verdict"), "true"),
    "points that are no whole number": (("entries", 0, "evidence", "points"), 1.5),
    "an error in words": (("entries", 0, "evidence", "max_error"), "small"),
    "a year in quotes": (("entries", 0, "references", 0, "year"), "1990"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_it_refuses_wrong_values(shipped: Catalogue, wrong: str) -> None:
    document = exported(shipped, ["softmax"])
    path, value = WRONG[wrong]
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert len(refusals(schema(), document)) == 1


def test_it_refuses_a_document_without_any_of_its_keys(shipped: Catalogue) -> None:
    document = exported(shipped, ["softmax"])
    validator = Draft202012Validator(json.loads(schema()))

    def without(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The places of all keys, of lists those in the first element."""
        items = node.items() if isinstance(node, dict) else enumerate(node[:1]) if isinstance(node, list) else ()
        for key, value in items:
            if isinstance(node, dict) and path[-1:] != ("frameworks",):
                yield (*path, key)
            yield from without(value, (*path, key))

    places = list(without(document))
    assert len(places) > 60
    for *path, key in places:
        changed = copy.deepcopy(document)
        place = changed
        for step in path:
            place = place[step]
        del place[key]
        assert not validator.is_valid(changed), (*path, key)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert kb.cli.main(["export", "--format", "schema"]) == 0
    assert capsys.readouterr().out == schema()
    path = tmp_path / "schema.json"
    assert kb.cli.main(["export", "--format", "schema", "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == schema()


def test_the_schema_is_as_stable_as_any_text() -> None:
    assert dump(json.loads(schema())) == schema()
