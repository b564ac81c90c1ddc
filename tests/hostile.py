"""A catalogue with text that would do harm if it became code, markup, a template or TeX."""

from __future__ import annotations

from typing import Any

PIECES = (
    '"""',
    "'''",
    "\\",
    r"\N{x}",
    "{{7*7}}",
    "{% raw %}",
    "<< 7*7 >>",
    "<% include 'page.md.j2' %>",
    r"\input{/etc/passwd}",
    r"\write18{id}",
    r"\end{document}",
    "<script>alert(1)</script>",
    "$x$ $$",
    "100% # & _ ^ ~ { }",
    "`code` ``` ~~~",
    "a | b",
    "[link](javascript:alert(1))",
    "![image](x)",
    "*bold* _it_ -- ---",
    "^^41",
    "naïve Ångström Straße œuvre Łódź",
    "中文 العربية ελληνικά Кириллица",
    "🙂 e\u0301\u0323 \u200b ﬁ",
    "unbreakable" * 12,
)
LINE = " ".join(PIECES[:12])
SECOND = " ".join(PIECES[12:])
TEXT = f"{LINE}\n{SECOND}\n# not a heading\n- not a list\n    not code\n1. no\n> no\n{'=' * 5}\n\\"


def catalogue() -> dict[str, Any]:
    """Two entries that are right, with every free text hostile."""
    reference = {"title": LINE, "authors": [LINE, SECOND[:299]], "venue": SECOND[:299], "year": 2020}
    address = {"title": SECOND[:299], "url": "https://example.org/a(b)[c]$d%7E#e&f_g"}
    document = {
        "title": SECOND[:299],
        "date": "2020-02",
        "url": address["url"],
        "items": {"1": LINE, "2": SECOND[:299]},
    }
    return {
        "documents": {"odd": document},
        "hostile": {
            "name": LINE,
            "topic": "other-things",
            "about": TEXT,
            "aliases": ["a_b (c)'s"],
            "tags": [LINE, SECOND[:299]],
            "symbols": {
                "x": {"shape": ["n"], "about": TEXT},
                "f": {"kind": "function", "arguments": ["t"], "instance": "sin", "about": TEXT},
                "y": {"role": "output", "about": TEXT},
            },
            "define": "y = sum(f(x[i]), i)",
            "claims": {
                "slope": {"formula": "d(y, x[i]) == cos(x[i])", "about": TEXT},
                "wrong": {"formula": "d(y, x[i]) == 2*cos(x[i])", "refuted": True},
            },
            "requires": ["n >= 1"],
            "differentiate": ["x"],
            "frameworks": {"torch": "a.b_c"},
            "variants": {"index": TEXT},
            "sources": [
                "hundred/4",
                {"item": "odd/1", "finding": "error", "note": TEXT, "use": LINE, "claim": "wrong"},
            ],
            "notes": [TEXT, LINE],
            "plot": {"over": {"t": [-2, 2]}, "given": {"x": "[t, 1]"}, "about": TEXT},
            "references": [reference, address],
        },
        "index": {
            "name": SECOND[:299],
            "topic": "other-things",
            "about": TEXT,
            "symbols": {"z": {"about": LINE}, "w": {"role": "output", "about": SECOND}},
            "define": "w = z**2",
            "differentiate": ["z"],
        },
    }
