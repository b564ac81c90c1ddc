"""One entry: what is accepted, and that every fault is reported, in plain words, at its place."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kb.errors import CatalogueError, Fault
from kb.glyphs import glyph_fault
from kb.model import Document, Entry, NamedClaim, Objective, Plot, Reference, SourceItem, Symbol
from kb.schema import to_entry
from kb.sections import to_documents
from kb.source import AT_KEY, parse_source

MINIMAL = """
name: Twice
topic: tests
about: Two times a number.
symbols:
  x: {}
  y: {role: output}
define: y = 2*x
"""

FULL = """
name: Softmax
kind: objective
topic: activations
about: >
  Folded ünïcode text
  of two lines.
aliases: [softargmax, Soft max (row-wise)]
tags: [probability]
symbols:
  z: {shape: [C, 3, "h*d_v"], about: logits, domain: positive, outside: 0}
  n: {kind: integer, role: hyperparameter, default: 2, domain: nonnegative}
  a: {default: -0.10, role: parameter, glyph: '\\hat{\\alpha}_{i,j}'}
  k: {kind: label, classes: C, shape: [m]}
  f: {kind: function, arguments: [x, "u[n, m]"], instance: "2*x - 1", shape: [n]}
  q: {kind: law, arguments: [x], instance: "normal_pdf(x, 0, 1)"}
  r: {kind: reducer, instance: mean}
  w: {shape: [m], outside: 0}
  p: {shape: [C], role: output}
define:
  - s = z
  - p[j] = s[j]
claims:
  plain: p == s
  rich: {formula: p >= 0, about: why, refuted: true}
requires: ["C >= 1"]
kinks: ["z == 0"]
differentiate: [z, a]
objective: {minimize: [z], maximize: [f], subject_to: ["z >= 0"]}
frameworks: {torch: torch.nn.functional.softmax}
related: [log_softmax]
variants: {softmin: takes the opposite signs, softmax2: {about: halves z, given: {z: z/2, n: "3"}}}
sources:
  - hundred/4
  - {item: dl-equations/6.1a, finding: garbled, note: Lost a bar., claim: rich, use: demand}
notes: ["a note: <script> {{7*7}} \\\\input \\"\\"\\""]
references:
  - {title: T, authors: [A, B], year: 2017, venue: V, doi: 10.1000/x.y_(z), arxiv: "1706.03762", url: "https://x.org/a?b#c"}
  - {title: Old, arxiv: cs.LG/0102003}
plot:
  - {over: {t: [-6, 0.50]}, given: {z: [[t, 1], "u"], w: "w[i] = i*t", k: 1}, each: {a: [0.1, 2], u: [1, 2]}}
  - {show: "p[0]", sizes: {C: 4}, about: Seen.}
"""


def entry(text: str, entry_id: str = "an_id") -> Entry:
    body = "\n".join("  " + line for line in text.strip().split("\n"))
    return to_entry(entry_id, parse_source(f"e:\n{body}\n".encode(), "f.yaml").data["e"])


def faults(text: str, entry_id: str = "an_id") -> list[Fault]:
    with pytest.raises(CatalogueError) as caught:
        entry(text, entry_id)
    return list(caught.value.faults)


def changed(**fields: str) -> str:
    """The minimal entry with some keys replaced by other YAML, or left out."""
    rows = {line.split(":")[0]: line.partition(": ")[2] for line in MINIMAL.strip().split("\n") if line[0] != " "}
    rows["symbols"] = "{x: {}, y: {role: output}}"
    rows |= fields
    return "\n".join(f"{key}: {value}" for key, value in rows.items() if value != "-")


def test_a_minimal_entry() -> None:
    assert entry(MINIMAL) == Entry(
        "an_id",
        "Twice",
        topic="tests",
        about="Two times a number.",
        symbols=(Symbol("x"), Symbol("y", role="output")),
        define=("y = 2*x",),
    )


def test_every_field_arrives() -> None:
    read = entry(FULL)
    assert read.kind == "objective"
    assert read.about == "Folded ünïcode text of two lines."
    assert read.aliases == ("softargmax", "Soft max (row-wise)")
    assert read.symbols == (
        Symbol("z", ("C", "3", "h*d_v"), domain="positive", outside="0", about="logits"),
        Symbol("n", kind="integer", role="hyperparameter", default="2", domain="nonnegative"),
        Symbol("a", role="parameter", default="-0.10", glyph=r"\hat{\alpha}_{i,j}"),
        Symbol("k", ("m",), kind="label", classes="C"),
        Symbol("f", ("n",), kind="function", arguments=("x", "u[n, m]"), instance="2*x - 1"),
        Symbol("q", kind="law", arguments=("x",), instance="normal_pdf(x, 0, 1)"),
        Symbol("r", kind="reducer", instance="mean"),
        Symbol("w", ("m",), outside="0"),
        Symbol("p", ("C",), role="output"),
    )
    assert read.claims == (NamedClaim("plain", "p == s"), NamedClaim("rich", "p >= 0", "why", True))
    assert read.objective == Objective(("z",), ("f",), ("z >= 0",))
    assert read.frameworks == (("torch", "torch.nn.functional.softmax"),)
    assert read.sources == (
        SourceItem("hundred/4"),
        SourceItem("dl-equations/6.1a", "garbled", "Lost a bar.", "rich", "demand"),
    )
    assert (read.sources[1].document, read.sources[1].key) == ("dl-equations", "6.1a")
    assert read.notes == ('a note: <script> {{7*7}} \\input """',)
    assert read.references == (
        Reference("T", ("A", "B"), 2017, "V", "10.1000/x.y_(z)", "1706.03762", "https://x.org/a?b#c"),
        Reference("Old", arxiv="cs.LG/0102003"),
    )
    assert read.plot == (
        Plot(
            over=(("t", ("-6", "0.50")),),
            given=(("z", "[[t, 1], u]"), ("w", "w[i] = i*t"), ("k", "1")),
            each=(("a", ("0.1", "2")), ("u", ("1", "2"))),
        ),
        Plot(show=("p[0]",), sizes=(("C", 4),), about="Seen."),
    )
    assert entry(MINIMAL).plot is None
    assert entry(changed(plot="false")).plot == ()


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"topc": "x"}, "topc", "unknown key 'topc'; did you mean 'topic'?"),
        ({"xyzzy": "x"}, "xyzzy", "the keys here are name, kind"),
        ({"name": "-"}, "name", "'name' is missing; add it"),
        ({"symbols": "-"}, "symbols", "'symbols' is missing"),
        ({"define": "-"}, "define", "'define' is missing"),
        ({"define": "[]"}, "define", "'define' is empty"),
        ({"symbols": "{}"}, "symbols", "'symbols' is empty"),
        ({"name": ""}, "name", "nothing is written here"),
        ({"name": "''"}, "name", "empty"),
        ({"name": "2024"}, "name", "a number where text belongs; put it in quotes: '2024'"),
        ({"name": "true"}, "name", "put it in quotes: 'true'"),
        ({"name": "[a]"}, "name", "a list where text belongs"),
        ({"name": "{a: b}"}, "name", "a mapping where text belongs"),
        ({"name": r'"a\nb"'}, "name", "one line"),
        ({"name": "x" * 301}, "name", "longer than 300 characters"),
        ({"about": "x" * 10_001}, "about", "longer than 10,000 characters"),
        ({"about": r'"a\0b"'}, "about", "control character U+0000"),
        ({"about": r'"a\u202eb"'}, "about", "control character U+202E"),
        ({"kind": "defnition"}, "kind", "'defnition' is not a kind; did you mean 'definition'?"),
        ({"kind": "7"}, "kind", "a number where text belongs"),
        ({"topic": "Some Topic"}, "topic", "write it like activations"),
        ({"define": "7"}, "define[0]", "a number where text belongs"),
        ({"define": "[[x]]"}, "define[0]", "a list where text belongs; put a text that contains brackets in quotes"),
        ({"define": "{y: x}"}, "define[0]", "a mapping where text belongs"),
        ({"aliases": "x"}, "aliases", "text where a list belongs; write a list, in brackets: [x]"),
        ({"aliases": "[../x]"}, "aliases[0]", "is not an alias"),
        ({"aliases": "[a, b, a]"}, "aliases[2]", "twice"),
        ({"aliases": "[an_id]"}, "aliases[0]", "another name than the id"),
        ({"tags": "[a, a]"}, "tags[1]", "twice"),
        ({"claims": "[a]"}, "claims", "a list where a mapping belongs"),
        ({"claims": "{a: 1}"}, "claims.a", "a number where text belongs"),
        ({"claims": "{a b: x == y}"}, "claims.a b", "cannot name a claim"),
        ({"claims": "{a: {about: x}}"}, "claims.a.formula", "'formula' is missing"),
        ({"claims": "{a: {formula: x, abuot: x}}"}, "claims.a.abuot", "did you mean 'about'?"),
        ({"claims": "{a: {formula: x, refuted: yes}}"}, "claims.a.refuted", "write true or false, without quotes"),
        ({"differentiate": "[z]"}, "differentiate[0]", "no symbol is called 'z'"),
        ({"differentiate": "[y]"}, "differentiate[0]", "an output and has no derivative"),
        ({"related": "[Softmax]"}, "related[0]", "is not an id"),
        ({"related": "[an_id]"}, "related[0]", "not related to itself"),
        ({"variants": "{an_id: text}"}, "variants.an_id", "no variant of itself"),
        ({"variants": "{other: text}", "related": "[other]"}, "related[0]", "stands under 'variants' already"),
        ({"variants": "{Other: text}"}, "variants.'Other'", "is not an id"),
        ({"variants": "[other]"}, "variants", "a list where a mapping belongs"),
        ({"variants": "{other: 7}"}, "variants.other", "a number where text belongs"),
        ({"variants": "{other: {given: {x: y}}}"}, "variants.other.about", "'about' is missing"),
        ({"variants": "{other: {about: text, givn: {x: y}}}"}, "variants.other.givn", "did you mean 'given'?"),
        ({"variants": "{other: {about: text, given: {x: 1}}}"}, "variants.other.given.x", "a number where text"),
        ({"sources": "[hundred]"}, "sources[0]", "write it like hundred/4"),
        ({"sources": "[4]"}, "sources[0]", "a number where text belongs"),
        ({"sources": "hundred/4"}, "sources", "write a list"),
        ({"sources": "[{item: hundred}]"}, "sources[0].item", "write it like hundred/4"),
        ({"sources": "[{finding: error, note: n}]"}, "sources[0].item", "'item' is missing"),
        ({"sources": "[{item: a/1, findng: error}]"}, "sources[0].findng", "did you mean 'finding'?"),
        ({"sources": "[{item: a/1, finding: eror, note: n}]"}, "sources[0].finding", "did you mean 'error'?"),
        ({"sources": "[{item: a/1, finding: error}]"}, "sources[0]", "add 'note: ...'"),
        ({"sources": "[a/1, b/1, {item: a/1, finding: error, note: n}]"}, "sources[2]", "in this list twice"),
        (
            {"sources": "[{item: a/1, finding: error, note: n, claim: wrng}]", "claims": "{wrong: x >= y}"},
            "sources[0].claim",
            "no claim is called 'wrng'; did you mean 'wrong'?",
        ),
        (
            {"sources": "[{item: a/1, finding: error, note: n, claim: wrong}]"},
            "sources[0].claim",
            "add it under 'claims', with 'refuted: true'",
        ),
        (
            {"sources": "[{item: a/1, finding: error, note: n, claim: wrong}]", "claims": "{wrong: x >= y}"},
            "sources[0].claim",
            "'wrong' is not one that must be refuted",
        ),
        (
            {
                "sources": "[{item: a/1, claim: wrong}]",
                "claims": "{wrong: {formula: x >= y, refuted: true}}",
            },
            "sources[0].claim",
            "states no refuted claim",
        ),
        ({"frameworks": "{torch: torch nn}"}, "frameworks.torch", "is not a name in a framework"),
        ({"frameworks": "{'7': a.b}"}, "frameworks.7", "not the name of a framework"),
        ({"references": "[{year: 2017}]"}, "references[0].title", "'title' is missing"),
        ({"references": "[{title: a, year: '2017'}]"}, "references[0].year", "four digits without quotes"),
        ({"references": "[{title: a, year: 20177}]"}, "references[0].year", "four digits"),
        ({"references": "[{title: a, arxiv: 1706.03762}]"}, "references[0].arxiv", "put it in quotes: '1706.03762'"),
        ({"references": "[{title: a, arxiv: 'arXiv:1'}]"}, "references[0].arxiv", "is not an arXiv identifier"),
        ({"references": "[{title: a, doi: 'https://doi.org/10.1/x'}]"}, "references[0].doi", "is not a DOI"),
        ({"references": "[{title: a, url: 'javascript:alert(1)'}]"}, "references[0].url", "is not a web address"),
        ({"references": "[{title: a, url: 'https://x.org/}\\input'}]"}, "references[0].url", "is not a web address"),
        ({"references": "[{title: a, doi: }]"}, "references[0].doi", "nothing is written here"),
        ({"objective": "{minimize: [x]}"}, "objective", "write 'kind: objective'"),
        ({"kind": "objective"}, "", "add 'objective:"),
        ({"kind": "objective", "objective": "{minimise: [x]}"}, "objective.minimise", "did you mean 'minimize'"),
        ({"kind": "objective", "objective": "{minimize: [q]}"}, "objective.minimize[0]", "no symbol is called 'q'"),
        ({"kind": "update"}, "symbols.y.role", "an update returns its states"),
        ({"plot": "true"}, "plot", "true or false where a plot belongs; write false, or a mapping such as {over:"),
        ({"plot": "[]"}, "plot", "an empty list where a plot belongs"),
        ({"plot": "[{}, x]"}, "plot", "a list where a plot belongs"),
        ({"plot": "{ovr: {x: [0, 1]}}"}, "plot[0].ovr", "did you mean 'over'?"),
        ({"plot": "{over: x}"}, "plot[0].over", "text where a mapping belongs"),
        ({"plot": "{over: {x: 1}}"}, "plot[0].over.x", "a number where a range belongs; write [from, to]"),
        ({"plot": "{over: {x: [1, 0]}}"}, "plot[0].over.x", "write the smaller number first"),
        ({"plot": "{over: {x: [0, 1e3]}}"}, "plot[0].over.x", "write 1.0e+3"),
        ({"plot": "{over: {x: [0, 1.0e+999]}}"}, "plot[0].over.x", "write the smaller number first"),
        ({"plot": "{over: {x: [0, 1], u: [0, 1], v: [0, 1]}}"}, "plot[0].over", "more than 2 names; remove some"),
        ({"plot": "{over: {y: [0, 1]}}"}, "plot[0].over.y", "'y' is no argument; vary a name of your own"),
        ({"plot": "{over: {u: [0, 1]}}"}, "plot[0].over.u", "give an argument an expression in it under 'given'"),
        ({"plot": "{each: {x: [1], u: [1]}, given: {q: u}}"}, "plot[0].given.q", "the arguments are x"),
        ({"plot": "{over: {x: [0, 1]}, given: {x: 1}}"}, "plot[0].given.x", "'x' is varied already"),
        ({"plot": "{over: {x: [0, 1]}, each: {x: [1]}}"}, "plot[0].each.x", "'x' is varied already"),
        (
            {"plot": "{each: {x: [1], u: [1, 2]}, given: {q: u}}", "symbols": "{x: {}, q: {}, y: {role: output}}"},
            "plot[0].each",
            "write lists of one length",
        ),
        ({"plot": "{each: {x: []}}"}, "plot[0].each.x", "'x' is empty"),
        ({"plot": "{each: {x: [1, 2, 3, 4, 5, 6, 7]}}"}, "plot[0].each.x", "more than 6 items"),
        ({"plot": "{each: {x: [a]}}"}, "plot[0].each.x[0]", "'a' is not a number"),
        ({"plot": "{given: {x: {a: b}}}"}, "plot[0].given.x", "a mapping where an expression belongs"),
        ({"plot": "{given: {x: [1, []]}}"}, "plot[0].given.x", "an empty list where an expression belongs"),
        ({"plot": "{given: {x: }}"}, "plot[0].given.x", "nothing stands where an expression belongs"),
        ({"plot": "[{}, {show: {a: b}}]"}, "plot[1].show[0]", "a mapping where an expression belongs"),
        ({"plot": "{show: []}"}, "plot[0].show", "'show' is empty"),
        ({"plot": "{sizes: {n: 0}}"}, "plot[0].sizes.n", "0 is not a size here; write a whole number from 1 to 256"),
        ({"plot": "{sizes: {n: 257}}"}, "plot[0].sizes.n", "257 is not a size"),
        ({"plot": "{sizes: {n: n}}"}, "plot[0].sizes.n", "text is not a size"),
        ({"symbols": "{x: {}}"}, "symbols", "no symbol is an output"),
        ({"kind": "update", "symbols": "{x: {}}"}, "symbols", "no symbol is a state"),
    ],
)
def test_a_fault_is_named_with_its_field_and_a_remedy(fields: dict[str, str], where: str, words: str) -> None:
    found = faults(changed(**fields))
    assert [fault.field for fault in found] == [where]
    assert words in found[0].message


@pytest.mark.parametrize(
    ("symbol", "where", "words"),
    [
        ("{shpe: [n]}", "symbols.x.shpe", "unknown key 'shpe'; did you mean 'shape'?"),
        ("{shape: n}", "symbols.x.shape", "write a list, in brackets: [n]"),
        ("{shape: [1.5]}", "symbols.x.shape[0]", "a whole number or a dimension"),
        ("{shape: [-1]}", "symbols.x.shape[0]", "a whole number or a dimension"),
        ("{domain: positve}", "symbols.x.domain", "did you mean 'positive'?"),
        ("{domain: xyzzy}", "symbols.x.domain", "one of real, positive"),
        ("{domain: simplex}", "symbols.x.domain", "needs an axis"),
        ("{role: outptu}", "symbols.x.role", "did you mean 'output'?"),
        ("{kind: intger}", "symbols.x.kind", "did you mean 'integer'?"),
        ("{role: state}", "symbols.x.role", "only an update has states"),
        ("{default: 1e-8}", "symbols.x.default", "YAML reads '1e-8' as text, and a number belongs here; write 1.0e-8"),
        ("{default: 010}", "symbols.x.default", "write 10"),
        ("{default: '0.1'}", "symbols.x.default", "leave out the quotes"),
        ("{default: half}", "symbols.x.default", "is not a number"),
        ("{default: oo}", "symbols.x.default", "not a finite number"),
        ("{default: true}", "symbols.x.default", "true or false where a number belongs"),
        ("{default: 1.0e+999999}", "symbols.x.default", "exponent"),
        ("{default: %s}" % ("9" * 101), "symbols.x.default", "more than 100 digits"),
        ("{default: 0.5, kind: integer}", "symbols.x.default", "a whole default"),
        ("{default: 1, kind: label, classes: C}", "symbols.x.default", "only a number that a call passes"),
        ("{outside: 0}", "symbols.x.outside", "a scalar has no outside"),
        ("{outside: x, shape: [n]}", "symbols.x.outside", "is not a number"),
        ("{kind: label}", "symbols.x", "add 'classes: C'"),
        ("{classes: C}", "symbols.x.classes", "only a symbol of kind label"),
        ("{kind: function, arguments: [u]}", "symbols.x", "needs a concrete instance"),
        ("{kind: function, instance: sin}", "symbols.x", "add 'arguments: [x]'"),
        ("{kind: function, instance: sin, arguments: [u v]}", "symbols.x.arguments[0]", "is not an argument"),
        ("{kind: function, instance: sin, arguments: [lambda]}", "symbols.x.arguments[0]", "Python keyword"),
        ("{kind: reducer, instance: mean, arguments: [u]}", "symbols.x.arguments", "remove the key"),
        ("{kind: law, instance: u, arguments: [u], role: parameter}", "symbols.x.role", "has no role"),
        ("{kind: label, classes: C, domain: positive}", "symbols.x.domain", "has no domain"),
        ("{instance: sin}", "symbols.x.instance", "write 'kind: function'"),
        ("{glyph: '\\input{x}'}", "symbols.x.glyph", "not allowed in a glyph"),
        ("", "symbols.x", "write {shape: [n], about: ...}"),
        ("input", "symbols.x", "text where a mapping belongs"),
    ],
)
def test_a_fault_of_a_symbol(symbol: str, where: str, words: str) -> None:
    found = faults(changed(symbols=f"{{x: {symbol}, y: {{role: output}}}}"))
    assert [fault.field for fault in found] == [where]
    assert words in found[0].message


@pytest.mark.parametrize("name", ["lambda", "cotangent", "λ", "x.y", "_x", "2x", "a b", ""])
def test_names_that_no_symbol_can_have(name: str) -> None:
    found = faults(changed(symbols=f"{{'{name}': {{}}, y: {{role: output}}}}"))
    assert [(f.field, f.start) for f in found] == [(f"symbols.{name}", AT_KEY)]


@pytest.mark.parametrize(
    "name", ["beta", "gamma", "N", "S", "E", "I", "np", "sum", "out", "self", "d", "pi", "no", "y_"]
)
def test_names_of_the_field_are_welcome(name: str) -> None:
    assert entry(changed(symbols=f"{{{name}: {{}}, y: {{role: output}}}}")).symbols[0].name == name


@pytest.mark.parametrize(
    "entry_id", ["../../x", "Softmax", "a-b", "lambda", "", "é", "x" * 65, "2d", "_a", "a/b", "a\n"]
)
def test_ids_that_are_refused(entry_id: str) -> None:
    found = faults(MINIMAL, entry_id)
    assert len(found) == 1
    assert "id" in found[0].message


@pytest.mark.parametrize("entry_id", ["softmax", "tanh", "x" * 64, "conv2d", "svd"])
def test_ids_that_are_accepted(entry_id: str) -> None:
    assert entry(MINIMAL, entry_id).id == entry_id


def test_all_faults_are_reported_at_once() -> None:
    found = faults(changed(topc="x", name="7", symbols="{lambda: {domain: positve}}", claims="{a b: 1}"), "Bad")
    assert {fault.field for fault in found} == {
        "",
        "topc",
        "name",
        "symbols.lambda",
        "symbols.lambda.domain",
        "claims.a b",
    }
    assert len(found) == 7  # the claim has a bad name and a bad text


@pytest.mark.parametrize("value", [None, "x", ["a"], True])
def test_what_is_not_an_entry(value: Any) -> None:
    with pytest.raises(CatalogueError, match="where an entry belongs; write its keys below the id"):
        to_entry("a", value)


def test_no_message_speaks_pydantic() -> None:
    wrong = ["7", "true", "[[]]", "{a: [b]}", "", "x y", "[7, true, ~]"]
    keys = yaml.safe_load(FULL)
    for key in keys:
        for value in wrong:
            try:
                entry(changed(**{key: value}))
            except CatalogueError as error:
                for fault in error.faults:
                    assert not any(w in fault.message.lower() for w in ("pydantic", "input", "valid ", "http", "type="))
                    assert ";" in fault.message, fault


@pytest.mark.parametrize(
    "glyph",
    [
        r"\mathcal{L}",
        r"\hat y",
        r"\hat{\bar{x}}",
        r"x_{i,j}^{\star}",
        "x''",
        r"\ell",
        r"\mathbf{W}_{\mathrm{out}}",
        r"{x_a}_b",
        r"\theta'",
        r"d_\alpha",
    ],
)
def test_glyphs_that_tex_may_have(glyph: str) -> None:
    assert glyph_fault(glyph) is None


@pytest.mark.parametrize(
    ("glyph", "start", "words"),
    [
        (r"\input{x}", 0, r"\input is not allowed"),
        (r"a\write18{x}", 1, "not allowed"),
        (r"\alhpa", 0, "did you mean 'alpha'"),
        ("{x", 2, "ends too early"),
        ("x}", 1, "closes nothing"),
        ("{}", 1, "closes nothing"),
        (r"\hat", 4, "ends too early"),
        ("x_", 2, "ends too early"),
        ("_x", 0, "follows nothing"),
        ("x_a_b", 3, "second script"),
        ("x^a'", 3, "second script"),
        (r"x_\hat y", 2, "in braces"),
        (r"\hat\hat y", 4, "in braces"),
        ("$x$", 0, "cannot stand in a glyph"),
        ("x%", 1, "cannot stand"),
        ("é", 0, "cannot stand"),
        (r"\\", 0, "cannot stand"),
        ("{" * 20, 8, "deeper than 8"),
        ("", 0, "ends too early"),
    ],
)
def test_glyphs_that_tex_may_not_have(glyph: str, start: int, words: str) -> None:
    found = glyph_fault(glyph)
    assert found is not None
    assert words in found[0]
    assert found[1] == start


# --- documents --------------------------------------------------------------------------------


def documents(text: str) -> tuple[Document, ...]:
    return to_documents(parse_source(f"documents: {text}\n".encode(), "f.yaml").data["documents"])


def test_documents_arrive_in_their_order() -> None:
    assert documents(
        "{b-2: {title: B, date: 2020-03-02, url: https://x.org, items: {2: Two, 1.a: One}}, a: {title: A, "
        "date: 2020, items: {x: X}}}"
    ) == (
        Document("b-2", "B", (("2", "Two"), ("1.a", "One")), "2020-03-02", "https://x.org"),
        Document("a", "A", (("x", "X"),), "2020"),
    )


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", "", "nothing stands where a mapping belongs"),
        ("[a]", "", "a list where a mapping belongs"),
        ("{a: b}", "a", "text where a mapping belongs"),
        ("{a: {title: A}}", "a.items", "'items' is missing"),
        ("{a: {title: A, items: {}}}", "a.items", "write at least one item"),
        ("{a: {title: A, items: [x]}}", "a.items", "a list where a mapping belongs"),
        ("{a: {title: 7, items: {x: X}}}", "a.title", "put it in quotes: '7'"),
        ("{a: {title: A, items: {x: 7}}}", "a.items.x", "put it in quotes: '7'"),
        ("{a: {titel: A, items: {x: X}}}", "a.titel", "did you mean 'title'"),
        ("{a: {title: A, date: yesterday, items: {x: X}}}", "a.date", "write 2020, 2020-03 or 2020-03-02"),
        ("{a: {title: A, url: nowhere, items: {x: X}}}", "a.url", "not a web address"),
        ("{a b: {title: A, items: {x: X}}}", "a b", "cannot name a document"),
        ("{a: {title: A, items: {x y: X}}}", "a.items.x y", "cannot name an item"),
    ],
)  # fmt: skip
def test_faults_of_documents(text: str, where: str, words: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        documents(text)
    found = {fault.field: fault.message for fault in caught.value.faults}
    assert where in found, found
    assert words in found[where], found
