"""The map: which equations are built from which, as a picture in SVG whose every entry is a link.

Lines come from the calls of the entries and from nothing else. The picture needs no script; site/static/map.js
adds highlights, zoom and search to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from generators.markdown import page_name
from generators.rendering import Filters, Ready, render
from generators.site.drawing import WIDTH, Band, Box, Drawing, Graph, draw
from generators.site.lines import number
from generators.views import EntryView, topic_title
from kb.printing import escape_html

HUES = 12  # of map.css
_MOST_NEAR = 26  # entries in the picture of a neighbourhood
_FEWEST_NEAR = 2  # relations

_FENCE = re.compile(r"`+")
_FILTERS: Filters = {"page": lambda entry_id: Ready(f"{page_name(entry_id).removesuffix('.md')}.html")}


def map_svg(entries: Sequence[EntryView]) -> str:
    """The picture of all entries; links lead to ``equations/ID.html``."""
    return FieldMap(entries).svg()


def map_page(entries: Sequence[EntryView]) -> str:
    """The page of the map in Markdown for Sphinx: the picture, what operates it, and the same as a list."""
    return FieldMap(entries).page()


@dataclass(frozen=True)
class FieldMap:
    """Entries and the calls between them; calls of entries that are not among them are left out."""

    entries: Sequence[EntryView]

    @cached_property
    def views(self) -> Mapping[str, EntryView]:
        """The entries by id."""
        return {view.id: view for view in self.entries}

    @cached_property
    def uses(self) -> Mapping[str, tuple[str, ...]]:
        """What each entry calls."""
        return {i: tuple(dict.fromkeys(u.id for u in v.uses if u.id in self.views)) for i, v in self.views.items()}

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """What calls each entry."""
        found: dict[str, list[str]] = {i: [] for i in self.views}
        for user, used in self.uses.items():
            for u in used:
                found[u].append(user)
        return {i: tuple(users) for i, users in found.items()}

    @cached_property
    def drawing(self) -> Drawing:
        """The geometry of the whole."""
        topics = dict.fromkeys(v.entry.topic for v in self.entries)
        return draw(self._graph(self.views, {i: v.entry.topic for i, v in self.views.items()}, map(str, topics)))

    @cached_property
    def hues(self) -> Mapping[str, int]:
        """The colour of each topic, in the order in which topics stand."""
        return {band.group: n % HUES for n, band in enumerate(self.drawing.bands)}

    def _graph(self, ids: Iterable[str], groups: Mapping[str, str], titles: Iterable[str] = ()) -> Graph:
        kept = dict.fromkeys(ids)
        names = {i: " ".join(self.views[i].entry.name.split()) for i in kept}
        uses = {i: [u for u in self.uses[i] if u in kept] for i in kept}
        return Graph(names, groups, uses, {t: topic_title(t) for t in titles})

    def svg(self) -> str:
        """The picture of all entries."""
        return self._svg(self.drawing, "at", "equations/", "Map of the equations")

    def page(self) -> str:
        """The page of the map in Markdown for Sphinx."""
        content = self.figure()
        longest = max((len(run) for run in _FENCE.findall(content)), default=0)
        values = {"calls": sum(map(len, self.uses.values())), "quiet": sum(b.quiet for b in self.drawing.boxes)}
        fence = Ready("`" * max(3, longest + 1))
        return _html("site/map.md.j2", entries=self.entries, fence=fence, content=Ready(content), **values)

    def figure(self) -> str:
        """The picture with what operates it, and the same as a list, in HTML without blank lines."""
        topics = [{"name": t, "title": topic_title(t), "hue": hue} for t, hue in self.hues.items()]
        listed = [(t["title"], [v for v in self.entries if v.entry.topic == t["name"]]) for t in topics]
        made = _html(
            "site/map.html.j2",
            svg=Ready(self.svg()),
            topics=topics,
            listed=listed,
            uses=self._links(self.uses),
            users=self._links(self.users),
        )
        return "\n".join(line for line in made.split("\n") if line.strip())

    def _links(self, relation: Mapping[str, Sequence[str]]) -> dict[str, list[EntryView]]:
        return {i: [self.views[other] for other in others] for i, others in relation.items()}

    def neighbourhood(self, entry_id: str) -> str:
        """A small picture of what an entry uses and what uses it, in at most two steps each.

        Empty for an entry with fewer than two relations, of which words say as much.
        """
        near = [*self.uses[entry_id], *self.users[entry_id]]
        if len(near) < _FEWEST_NEAR:
            return ""
        wide = [*_steps(self.uses, entry_id), *_steps(self.users, entry_id)]
        kept = {entry_id, *(wide if len(wide) < _MOST_NEAR else near)}
        ids = [i for i in self.views if i in kept]
        drawing = draw(self._graph(ids, dict.fromkeys(ids, "")), bold=entry_id)
        label = f"What {self.views[entry_id].entry.name} uses and what uses it"
        return self._svg(drawing, "near", "", label, entry_id)

    def _svg(self, drawing: Drawing, prefix: str, folder: str, label: str, current: str = "") -> str:
        nodes = [self._node(box.id) | _place(box) | {"folder": folder} for box in drawing.boxes]
        for node in nodes:
            node["current"] = node["id"] == current
        hues = sorted({self._hue(line.used) for line in drawing.lines})
        return _html(
            "site/map.svg.j2",
            width=number(drawing.width),
            height=number(drawing.height),
            label=label,
            prefix=prefix,
            hues=hues,
            bands=[self._band(b) for b in drawing.bands if b.group],
            lines=[{"used": x.used, "user": x.user, "path": x.path, "hue": self._hue(x.used)} for x in drawing.lines],
            nodes=nodes,
        )

    def _hue(self, entry_id: str) -> int:
        return self.hues[self.views[entry_id].entry.topic]

    def _band(self, band: Band) -> dict[str, Any]:
        return {
            "topic": band.group,
            "title": topic_title(band.group),
            "hue": self.hues[band.group],
            "x": number(band.x),
            "y": number(band.y),
            "width": number(band.width),
            "height": number(band.height),
            "title_x": number(band.x + 16),
            "title_y": number(band.y + 27),
        }

    def _node(self, entry_id: str) -> dict[str, Any]:
        view = self.views[entry_id]
        return {
            "id": entry_id,
            "hue": self._hue(entry_id),
            "name": " ".join(view.entry.name.split()),
            "topic": view.entry.topic,
            "kind": view.entry.kind,
            "verdict": view.verdict,
            "words": " ".join([entry_id, *view.entry.aliases]),
            "variants": " ".join(v.id for v in view.catalogue.variants(entry_id) if v.id in self.views),
            "formula": Ready(escape_html(view.formula.text).replace("\n", "&#10;")),
        }


def _place(box: Box) -> dict[str, Any]:
    _, x, y = box.baselines[0]
    return {
        "x": number(box.x),
        "y": number(box.y),
        "width": number(WIDTH),
        "height": number(box.height),
        "lines": [(line, number(x), number(y)) for line, x, y in box.baselines],
        "dot": (number(x - 7.5), number(y - 4.2)) if box.quiet else None,
        "classes": [f"is-{word}" for word in ("hub", "quiet") if getattr(box, word)],
    }


def _steps(relation: Mapping[str, Sequence[str]], start: str, steps: int = 2) -> list[str]:
    """All entries within some steps."""
    found: dict[str, None] = {}
    reached = [start]
    for _ in range(steps):
        reached = [other for one in reached for other in relation[one] if other not in found]
        found |= dict.fromkeys(reached)
    return list(found)


def _html(template: str, **values: Any) -> str:
    return render(template, escape_html, _FILTERS, **values)
