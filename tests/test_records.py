"""Catalogue files laid over one another, the cache behind them, and the place of every fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kb.records
from kb.errors import CatalogueError, Fault, Location, NotFound
from kb.model import Entry
from kb.records import place, read_file, read_records, shipped_path, structural_faults
from kb.source import parse_source

ROOT = Path(__file__).resolve().parent.parent
Write = Callable[..., Path]


def entry(entry_id: str, **fields: str) -> str:
    rows = {
        "name": "A name",
        "topic": "tests",
        "about": "Some text",
        "symbols": "{x: {shape: [n]}, y: {shape: [n], role: output}}",
        "define": "y = 2*x",
    } | fields
    return f"{entry_id}:\n" + "".join(f"  {key}: {value}\n" for key, value in rows.items())


FULL = (
    """\
full:
  name: Füll
  kind: objective
  topic: tests
  notation: '\\mathcal{F}'
  time: t
  about: "Text with \\"quotes\\" and 𝛼"
  aliases: [other, Third name]
  tags: [a, b]
  symbols:
    z: {shape: [C, 3], domain: positive, outside: 0, about: logits, glyph: '\\mathcal{L}'}
    a: {default: 0.10, role: parameter}
    k: {kind: label, classes: C}
    f: {kind: function, arguments: [x, "u[n]"], instance: "2*x", shape: [n]}
    p: {role: output}
  define: [s = z, p = s]
  claims: {c: p == s, d: {formula: p == 2*s, about: why, refuted: true}}
  requires: ["C >= 1"]
  kinks: ["z == 0"]
  differentiate: [z]
  objective: {minimize: [z], maximize: [f], subject_to: ["z >= 0"]}
  frameworks: {torch: torch.relu, jax: jax.nn.relu}
  related: [full_three]
  variants: {full_two: {about: doubles, given: {x: "2*z"}}, full_four: halves}
  sources: [lecture/1, {item: lecture/2-a, finding: error, note: Not so., claim: d, use: demand}]
  notes: [one, two]
  plot: {over: {u: [0, 2.5]}, given: {z: "z[i,j] = u*i"}, each: {a: [0.1, 1]}, show: s, sizes: {C: 2}, about: Text.}
  references:
    - {title: T, authors: [A, B], year: 2017, venue: V, doi: 10.1000/x, arxiv: "1706.03762", url: "https://x.org"}
"""
    + entry("full_two")
    + entry("full_three")
    + entry("full_four")
    + """\
documents:
  lecture: {title: Lecture, date: 2020-03-02, url: "https://x.org", items: {1: One, 2-a: Two}}
"""
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "eqkb"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*parts: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.write_text("".join(parts), encoding="utf-8")
        return path

    return write


@pytest.fixture
def shipped(write: Write) -> Path:
    return write(entry("first", aliases="[one]"), entry("second"), name="shipped.yaml")


def messages(faults: list[Fault]) -> list[str]:
    return [str(fault) for fault in faults]


# --- one file ---------------------------------------------------------------------------------


def test_a_file_keeps_its_order_and_its_places(write: Write) -> None:
    path = write(entry("zeta"), entry("alpha"))
    file = read_file(path)
    assert list(file.entries) == ["zeta", "alpha"]
    assert file.entries["zeta"].origin == str(path)
    assert file.locate("alpha", "define[0]", 4) == Location(str(path), 12, 15, "alpha.define[0]")


def test_every_field_survives_the_cache(write: Write, cache: Path) -> None:
    path = write(FULL)
    file = read_file(path)
    assert len(list(cache.iterdir())) == 1
    cached = read_file(path)
    assert cached.documents == file.documents
    assert hash(cached.documents) == hash(file.documents)
    fresh, again = file.entries, cached.entries
    assert again == fresh
    assert again["full"] is not fresh["full"]
    assert again["full"].origin == fresh["full"].origin
    for name in Entry.__dataclass_fields__:
        assert type(getattr(again["full"], name)) is type(getattr(fresh["full"], name))
        assert name in ("origin", "id", "layer", "sides") or getattr(fresh["full"], name) != getattr(
            Entry("x", "y"), name
        ), name
    assert hash(again["full"]) == hash(fresh["full"])


def test_all_structural_faults_of_a_file_at_once(write: Write) -> None:
    path = write(
        "# é\n",
        entry("good"),
        entry("bad", topc="x", symbols="{é: {shape: [1.5]}, y: {role: outptu}}"),
        entry("Ugly", name="7"),
        entry("good"),
    )
    with pytest.raises(CatalogueError) as caught:
        read_file(path)
    assert [str(fault).removeprefix(f"{path}:").split(";")[0] for fault in sorted_faults(caught.value)] == [
        "12:13: bad.symbols.é: 'é' is not a symbol: use ASCII letters, digits and '_', beginning with a letter",
        "12:25: bad.symbols.é.shape[0]: a size is a whole number or a dimension, not 1.5",
        "12:42: bad.symbols.y.role: 'outptu' is not a role",
        "14:3: bad.topc: unknown key 'topc'",
        "15:1: Ugly: 'Ugly' is not an id",
        "16:9: Ugly.name: a number where text belongs",
        f"21:1: good: the key 'good' is written twice, first at {path}:2:1",
    ]


def sorted_faults(error: CatalogueError) -> list[Fault]:
    return sorted(error.faults, key=lambda f: (f.location.line, f.location.column) if f.location else (0, 0))


def test_a_file_with_faults_is_not_kept(write: Write, cache: Path) -> None:
    with pytest.raises(CatalogueError):
        read_file(write(entry("bad", topc="x")))
    assert not cache.exists()


def test_a_file_of_nothing_but_faults_is_answered_quickly(write: Write) -> None:
    path = write(*[f"a{i}: {{nmae: 1, symbls: {'x' * 50}, defin: [], topcs: {{}}}}\n" for i in range(12_000)])
    start = time.process_time()
    with pytest.raises(CatalogueError) as caught:
        read_file(path)
    assert time.process_time() - start < 30
    assert len(caught.value.faults) == kb.records.MAX_FAULTS + 1
    assert "more faults" in caught.value.faults[-1].message


def test_wrong_related_ids_are_answered_quickly(write: Write, shipped: Path) -> None:
    path = write(*[entry(f"entry_number_{i}", related=f"[entry_namber_{i}]") for i in range(2_000)])
    start = time.process_time()
    _, faults = structural_faults([path], shipped)
    assert time.process_time() - start < 30
    assert len(faults) == kb.records.MAX_FAULTS


# --- the cache --------------------------------------------------------------------------------

PROBE = """
import sys
from kb.records import read_file
file = read_file(sys.argv[1])
print(len(file.entries), *sorted({m.split(".")[0] for m in sys.modules} & {"pydantic", "yaml", "sympy", "numpy"}))
if len(sys.argv) > 2:
    print(file.locate("full", "define[0]", 4))
"""


def probe(path: Path, *more: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", PROBE, str(path), *more], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_from_the_cache_nothing_heavy_is_imported(write: Write) -> None:
    path = write(FULL)
    assert probe(path) == "4 pydantic yaml"
    assert probe(path) == "4"
    assert probe(path, "locate") == f"4\n{path}:16:16: full.define[0]"


def is_cached(path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a file is read without looking at its YAML."""
    import kb.source

    with monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            raise RuntimeError("the YAML was read")

        patch.setattr(kb.source, "read_source", refuse)
        try:
            read_file(path)
        except RuntimeError:
            return False
        return True


def test_a_changed_file_is_read_again(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(entry("a"))
    read_file(path)
    assert is_cached(path, monkeypatch)
    status = path.stat()
    path.write_text(entry("b"), encoding="utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert not is_cached(path, monkeypatch)
    assert list(read_file(path).entries) == ["b"]
    assert is_cached(path, monkeypatch)


def test_a_changed_kb_reads_again(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(entry("a"))
    read_file(path)
    monkeypatch.setattr(kb.records, "_CODE", ("model",))
    assert not is_cached(path, monkeypatch)


def test_the_cache_of_another_file_does_not_count(write: Write, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_file(write(entry("a")))
    (kept,) = cache.iterdir()
    other = write(entry("b"), name="other.yaml")
    read_file(other)
    (foreign,) = set(cache.iterdir()) - {kept}
    foreign.write_bytes(kept.read_bytes())
    assert not is_cached(other, monkeypatch)
    assert list(read_file(other).entries) == ["b"]


def damage_payload(text: str) -> str:
    return text.replace("A name", "B name")


def damage_rows(text: str) -> str:
    import hashlib

    head, payload = text.split("\n", 1)
    payload = payload.replace('"define"', '"defined"')
    return json.dumps(json.loads(head) | {"payload": hashlib.sha256(payload.encode()).hexdigest()}) + "\n" + payload


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-5],
        lambda text: text[:40],
        lambda text: "",
        lambda text: "[]",
        lambda text: "null\n[]",
        lambda text: "[" * 100_000,
        lambda text: "\0\udcff",
        damage_payload,
        damage_rows,
    ],
)
def test_a_damaged_cache_is_rebuilt(
    write: Write, cache: Path, damage: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(entry("a"))
    fresh = read_file(path).entries
    (kept,) = cache.iterdir()
    whole = kept.read_text()
    kept.write_text(damage(whole), errors="surrogateescape")
    assert not is_cached(path, monkeypatch)
    assert read_file(path).entries == fresh
    assert kept.read_text() == whole
    assert is_cached(path, monkeypatch)


def test_a_cache_that_cannot_be_written_is_no_fault(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(entry("a"))
    for home in (str(path), "relative/folder", "/proc/none"):
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        monkeypatch.setenv("HOME", str(path))
        assert list(read_file(path).entries) == ["a"]
    assert not (Path.cwd() / "relative").exists()


def test_no_temporary_file_is_left(write: Write, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    assert list(read_file(write(entry("a"))).entries) == ["a"]
    assert list(cache.iterdir()) == []


def test_places_of_a_file_that_is_gone_name_the_file(write: Write) -> None:
    path = write(entry("a"))
    read_file(path)
    file = read_file(path)
    path.unlink()
    assert file.locate("a", "define[0]", 3) == Location(str(path), path="a.define[0]")


# --- files over the shipped one ---------------------------------------------------------------


def test_without_files_the_shipped_entries_are_selected(shipped: Path) -> None:
    records = read_records(shipped=shipped)
    assert list(records) == ["first", "second"]
    assert records.selected == ("first", "second")


def test_given_files_lie_over_the_shipped_one_and_are_selected(write: Write, shipped: Path) -> None:
    mine, yours = write(entry("mine", related="[first]")), write(entry("yours"), name="yours.yaml")
    records = read_records([mine, yours, mine], shipped)
    assert list(records) == ["first", "second", "mine", "yours"]
    assert records.selected == ("mine", "yours")
    assert len(records) == 4
    assert "first" in records
    assert records["mine"].related == ("first",)


def test_the_shipped_file_by_name_is_itself(shipped: Path) -> None:
    records = read_records([shipped.parent / "." / shipped.name], shipped)
    assert records.selected == ("first", "second")


def test_entries_are_found_by_id_and_alias(shipped: Path) -> None:
    records = read_records(shipped=shipped)
    assert records.entry("one") is records.entry("first")
    with pytest.raises(NotFound, match=r"no entry is called 'frist'; did you mean 'first'\?"):
        records.entry("frist")
    with pytest.raises(NotFound, match="eqkb list"):
        records.entry("q" * 100_000)
    with pytest.raises(KeyError):
        records["one"]


def test_reusing_an_id_or_alias_names_both_places(write: Write, shipped: Path) -> None:
    mine = write(entry("first"), entry("new", aliases="[one]"), entry("newer", aliases="[second, new_one]"))
    yours = write(entry("last", aliases="[new_one]"), name="yours.yaml")
    records, faults = structural_faults([mine, yours], shipped)
    assert records is not None
    assert messages(faults) == [
        f"{mine}:1:1: first: the id 'first' is taken by the entry at {shipped}:1; choose another id",
        f"{mine}:13:13: new.aliases[0]: the alias 'one' is an alias of the entry 'first' at {shipped}:7; remove one",
        f"{mine}:20:13: newer.aliases[0]: the alias 'second' is the id of the entry 'second' at {shipped}:8; "
        "remove one",
        f"{yours}:7:13: last.aliases[0]: the alias 'new_one' is an alias of the entry 'newer' at {mine}:20; remove one",
    ]
    assert records["first"].origin == str(shipped)


def test_variants_must_exist(write: Write, shipped: Path) -> None:
    variants = "{frist: other, one: other, first: other, broken: other}"
    mine = write(entry("mine", variants=variants), entry("broken", topc="x"))
    _, faults = structural_faults([mine], shipped)
    assert [str(fault).removeprefix(f"{mine}:") for fault in faults] == [
        "7:14: mine.variants.frist: no entry has the id 'frist'; did you mean 'first'?",
        "7:28: mine.variants.one: 'one' is an alias; write the id 'first'",
        "14:3: broken.topc: unknown key 'topc'; did you mean 'topic'?",
    ]


def test_related_ids_must_exist(write: Write, shipped: Path) -> None:
    mine = write(
        entry("mine", related="[frist, one, xyzzy]"), entry("broken", topc="x"), entry("c", related="[broken]")
    )
    records, faults = structural_faults([mine], shipped)
    assert records is not None
    assert records.broken == {"broken"}
    assert [str(fault).removeprefix(f"{mine}:") for fault in faults] == [
        "7:13: mine.related[0]: no entry has the id 'frist'; did you mean 'first'?",
        "7:20: mine.related[1]: 'one' is an alias; write the id 'first'",
        "7:25: mine.related[2]: no entry has the id 'xyzzy'; remove it",
        "14:3: broken.topc: unknown key 'topc'; did you mean 'topic'?",
    ]
    with pytest.raises(CatalogueError):
        read_records([mine], shipped)


DOCUMENTS = "documents:\n  lecture: {title: Lecture, items: {1: One, 2: Two}}\n"


def source_faults_of(files: list[Path], shipped: Path) -> list[str]:
    return messages(structural_faults(files, shipped)[1])


def test_items_of_sources_must_be_declared(write: Write) -> None:
    shipped = write(entry("first", sources="[lecture/1, lecture/3, lectur/1]"), DOCUMENTS, name="shipped.yaml")
    for _ in range(2):  # the second time from the cache
        assert source_faults_of([], shipped) == [
            f"{shipped}:7:24: first.sources[1]: the document 'lecture' has no item '3'; its items are 1, 2",
            f"{shipped}:7:35: first.sources[2]: no document is called 'lectur'; did you mean 'lecture'?",
        ]


def test_a_file_may_use_documents_of_the_shipped_one_and_declare_its_own(write: Write) -> None:
    shipped = write(entry("first", sources="[lecture/1]"), DOCUMENTS, name="shipped.yaml")
    own = "documents: {talk: {title: Talk, items: {a: A}}}\n"
    mine = write(entry("mine", sources="[lecture/2, talk/a]"), own)
    records = read_records([mine], shipped)
    assert list(records.documents) == ["lecture", "talk"]
    assert [d.key for d in records.files[1].documents] == ["talk"]
    assert "documents" not in records
    mine = write(entry("mine", sources="[paper/2]"), own.replace("talk", "lecture"))
    assert source_faults_of([mine], shipped) == [
        f"{mine}:7:13: mine.sources[0]: no document is called 'paper'; declare it under 'documents', "
        "at the outermost level of the file",
        f"{mine}:8:13: documents.lecture: the document 'lecture' is declared at {shipped}:9; choose another key",
    ]


def test_an_item_has_one_finding(write: Write) -> None:
    shipped = write(entry("first", sources="[lecture/1]"), DOCUMENTS, name="shipped.yaml")
    mine = write(
        entry("mine", sources="[{item: lecture/1, finding: error, note: no}, {item: lecture/2, note: both say so}]"),
        entry("more", sources="[lecture/1, lecture/2]"),
    )
    assert source_faults_of([mine], shipped) == [
        f"{mine}:7:13: mine.sources[0]: the entry 'first' at {shipped}:7 gives 'lecture/1' the finding 'right', "
        "and here it is 'error'; state one finding, or leave the item to that entry"
    ]


def test_faulty_documents_are_not_missed_as_well(write: Write, shipped: Path) -> None:
    mine = write(entry("mine", sources="[lecture/1]"), DOCUMENTS.replace("title", "titel"))
    assert [fault.split(";")[0].removeprefix(f"{mine}:") for fault in source_faults_of([mine], shipped)] == [
        "9:3: documents.lecture.title: the key 'title' is missing",
        "9:13: documents.lecture.titel: unknown key 'titel'",
    ]


def test_an_unreadable_file_gives_no_records_but_all_faults(write: Write, shipped: Path, tmp_path: Path) -> None:
    mine = write(entry("mine", topc="x"))
    records, faults = structural_faults([mine, tmp_path / "none.yaml"], shipped)
    assert records is None
    assert [fault.message.split(";")[0] for fault in faults] == ["unknown key 'topc'", "there is no such file"]


def test_faults_of_formulas_get_their_place(write: Write, shipped: Path) -> None:
    mine = write("# ü\n", entry("mine", define="\n    - s = x\n    - |\n      é =\n        x + q"))
    records = read_records([mine], shipped)
    placed = place(records, "mine", Fault("no symbol is called 'q'", "define[1]", 10))
    assert str(placed) == f"{mine}:11:13: mine.define[1]: no symbol is called 'q'"


SNIPPETS = [
    *["\t", "\n", "  ", ": ", "- ", "'", '"', "[", "]", "{", "}", "&a ", "*a ", "!t ", "#", "|\n", ">\n", "%", "---\n"],
    *["é", "\\", "~", "1e-8", "7", "true", "null", "x", "\x00", "\u202e", "? ", "<<", ",", "\udcff", "\ufeff", "\r"],
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(FULL)), st.integers(0, 12), st.sampled_from(SNIPPETS)), max_size=3))
def test_whatever_is_wrong_is_a_fault_with_a_place_and_a_remedy(edits: list[tuple[int, int, str]]) -> None:
    text = FULL
    for at, length, snippet in edits:
        text = text[:at] + snippet + text[at + length :]
    try:
        source = parse_source(text.encode(errors="surrogateescape"), "f.yaml")
        _, faults, _ = kb.records._check(source, "f.yaml")
    except CatalogueError as error:
        faults = list(error.faults)
    for fault in faults:
        assert fault.location is not None
        assert fault.location.line <= len(text.splitlines()) + 1
        assert any(words in fault.message for words in (";", ": use ", "not YAML"))
        assert fault.message.isprintable()


# --- the shipped catalogue --------------------------------------------------------------------


def test_a_decoy_in_the_current_folder_is_not_the_shipped_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, decoy = tmp_path / "site" / "kb", tmp_path / "decoy"
    package.mkdir(parents=True)
    decoy.mkdir()
    (decoy / "equations.yaml").write_text(entry("decoy"))
    monkeypatch.chdir(decoy)
    monkeypatch.setattr(kb.records, "_HERE", str(package))
    with pytest.raises(CatalogueError) as caught:
        shipped_path()
    assert str(package / "equations.yaml") in str(caught.value)
    assert str(package.parent / "equations.yaml") in str(caught.value)
    (package.parent / "equations.yaml").write_text(entry("checkout"))
    assert shipped_path() == package.parent / "equations.yaml"
    (package / "equations.yaml").write_text(entry("installed"))
    assert shipped_path() == package / "equations.yaml"
