"""The map: complete, in order, without overlap, and the same on every run."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import agreement
import pytest
import yaml

from generators.site.drawing import WIDTH, Box, Drawing, Graph, draw
from generators.site.labels import width_of, wrap
from generators.site.layers import crossings, layered, layers, order_groups, order_items
from generators.site.map import HUES, FieldMap, map_page, map_svg
from generators.site.places import lanes, net, settle
from generators.views import views
from kb.catalogue import Catalogue, load_catalogue

SVG = "{http://www.w3.org/2000/svg}"
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def shipped() -> FieldMap:
    catalogue: Catalogue = agreement.shipped()
    return FieldMap(views(catalogue, list(catalogue)))


def catalogue_map(folder: Path, entries: dict[str, object]) -> FieldMap:
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(entries, sort_keys=False), encoding="utf-8")
    catalogue = load_catalogue(path)
    return FieldMap(views(catalogue, list(catalogue)))


def entry(define: str, name: str = "An entry", topic: str = "small") -> dict[str, object]:
    symbols = {"x": {}, "y": {"role": "output"}}
    return {"name": name, "topic": topic, "about": "One of a few.", "symbols": symbols, "define": define}


def graph(uses: dict[str, list[str]], groups: dict[str, str] | None = None) -> Graph:
    found = groups or dict.fromkeys(uses, "all")
    return Graph({i: i for i in uses}, found, uses, {g: g for g in found.values()})


def chance(items: int, groups: int, edges: int) -> Graph:
    """A graph like that of a catalogue: a few items are used by many, most by nobody."""
    r = random.Random(3)
    ids = [f"e{n}" for n in range(items)]
    uses: dict[str, list[str]] = {i: [] for i in ids}
    for _ in range(edges):
        user = r.randrange(1, items)
        used = ids[r.randrange(min(user, 12) if r.random() < 0.5 else user)]
        if used not in uses[ids[user]]:
            uses[ids[user]].append(used)
    words = ["Gradient", "of", "the", "Kullback-Leibler", "divergence", "loss", "a"]
    names = {i: " ".join(r.choices(words, k=r.randrange(1, 9))) for i in ids}
    of = {i: f"topic {r.randrange(groups)}" for i in ids}
    return Graph(names, of, uses, {g: g for g in of.values()})


def require_no_overlap(drawing: Drawing) -> None:
    boxes = sorted(drawing.boxes, key=lambda b: b.y)
    for n, a in enumerate(boxes):
        assert a.x >= 0 and a.x + WIDTH <= drawing.width and a.y >= 0 and a.y + a.height <= drawing.height
        for b in boxes[n + 1 :]:
            if b.y >= a.y + a.height:
                break
            assert a.x + WIDTH <= b.x or b.x + WIDTH <= a.x, (a.id, b.id)


def nodes_of(svg: str) -> dict[str, ET.Element]:
    return {a.attrib["data-id"]: a for a in ET.fromstring(svg).iter(f"{SVG}a")}


def lines_of(svg: str) -> list[tuple[str, str]]:
    paths = (p for p in ET.fromstring(svg).iter(f"{SVG}path") if "data-used" in p.attrib)
    return [(p.attrib["data-used"], p.attrib["data-user"]) for p in paths]


# --- the whole ---------------------------------------------------------------------------------------


def test_every_entry_is_a_link_and_every_call_a_line(shipped: FieldMap) -> None:
    svg = shipped.svg()
    nodes = nodes_of(svg)
    assert set(nodes) == {v.id for v in shipped.entries}
    for i, node in nodes.items():
        assert node.attrib["href"] == f"equations/{i}.html"
        label = " ".join(t.text or "" for t in node.iter(f"{SVG}text"))
        assert node.attrib["aria-label"] == label == " ".join(shipped.views[i].entry.name.split())
        assert node.findtext(f"{SVG}title") == shipped.views[i].formula.text
    assert sorted(lines_of(svg)) == sorted((u.id, v.id) for v in shipped.entries for u in v.uses)


def test_nothing_overlaps_and_labels_fit(shipped: FieldMap) -> None:
    require_no_overlap(shipped.drawing)
    for box in shipped.drawing.boxes:
        assert all(width_of(line, 12.5, box.hub) <= WIDTH - 20 for line in box.lines)
        assert not any(line.endswith("…") for line in box.lines)


def test_bands_hold_their_entries_and_do_not_overlap(shipped: FieldMap) -> None:
    bands = {band.group: band for band in shipped.drawing.bands}
    for box in shipped.drawing.boxes:
        band = bands[shipped.views[box.id].entry.topic]
        assert band.x <= box.x and box.x + WIDTH <= band.x + band.width
        assert band.y <= box.y and box.y + box.height <= band.y + band.height
    made = list(bands.values())
    for n, a in enumerate(made):
        for b in made[:n]:
            assert a.y >= b.y + b.height or a.x >= b.x + b.width


def test_what_is_used_stands_to_the_left(shipped: FieldMap) -> None:
    left = {box.id: box.x for box in shipped.drawing.boxes}
    assert all(left[line.used] + WIDTH < left[line.user] for line in shipped.drawing.lines)


def test_lines_begin_and_end_at_their_boxes_and_run_between_columns(shipped: FieldMap) -> None:
    boxes = {box.id: box for box in shipped.drawing.boxes}
    for line in shipped.drawing.lines:
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", line.path)]
        used, user = boxes[line.used], boxes[line.user]
        assert numbers[0] == pytest.approx(used.x + WIDTH, abs=0.2)
        assert used.y < numbers[1] < used.y + used.height
        assert user.x - 6 < numbers[-1] < user.x
        for x in re.findall(r"V[-\d.]+|C([-\d.]+) ", line.path):
            if x:
                assert not any(b.x < float(x) < b.x + WIDTH for b in boxes.values() if not b.quiet)


def test_the_same_bytes_every_time(shipped: FieldMap) -> None:
    assert FieldMap(shipped.entries).svg() == shipped.svg() == map_svg(shipped.entries)


def test_the_page_holds_picture_and_list(shipped: FieldMap) -> None:
    page = map_page(shipped.entries)
    assert shipped.svg().strip() in page
    block = page.split("```{raw} html\n")[1].split("\n```")[0]
    assert all(line.strip() for line in block.split("\n"))
    assert (
        ET.fromstring(f"<div>{block}</div>".replace(" hidden>", ">").replace('spellcheck="false">', "/>")) is not None
    )
    listed = block.partition("<details")[2]
    assert all(f'href="equations/{i}.html"' in listed for i in shipped.views)


def test_the_colours_are_those_of_the_style_sheet(shipped: FieldMap) -> None:
    css = (ROOT / "site" / "static" / "map.css").read_text(encoding="utf-8")
    assert len(re.findall(r"--eqkb-hue-\d+: #", css)) == 2 * HUES
    assert {int(n) for n in re.findall(r"eqkb-hue-(\d+)", shipped.svg())} <= set(range(HUES))


# --- small catalogues --------------------------------------------------------------------------------


def test_catalogues_without_entries_or_calls(tmp_path: Path) -> None:
    assert nodes_of(FieldMap(()).svg()) == {}
    assert "# Map" in FieldMap(()).page()
    single = catalogue_map(tmp_path, {"one": entry("y = 2*x")})
    assert list(nodes_of(single.svg())) == ["one"] and lines_of(single.svg()) == []
    require_no_overlap(single.drawing)
    assert "All of these stand by themselves" in single.page()


def test_names_of_the_catalogue_are_escaped(tmp_path: Path) -> None:
    name = 'A <b>&amp; "c"</b> </script> ``` {{ x }}'
    made = catalogue_map(tmp_path, {"one": entry("y = 2*x", name), "two": entry("y = one(x)")})
    assert nodes_of(made.svg())["one"].attrib["aria-label"] == name
    assert "<b>" not in made.figure() and "</script>" not in made.figure()
    fence, _, rest = made.page().partition("{raw} html\n")
    assert rest.strip().endswith("\n````") and fence.endswith("````")
    assert lines_of(made.svg()) == [("one", "two")]


def test_calls_of_entries_that_have_no_page_are_left_out(tmp_path: Path) -> None:
    made = catalogue_map(tmp_path, {"one": entry("y = sigmoid(x)"), "two": entry("y = one(x)")})
    assert lines_of(made.svg()) == [("one", "two")]


# --- neighbourhoods ----------------------------------------------------------------------------------


def test_a_neighbourhood_has_two_steps_both_ways(tmp_path: Path) -> None:
    chain = {"n0": entry("y = 2*x")} | {f"n{n}": entry(f"y = n{n - 1}(x)") for n in range(1, 6)}
    made = catalogue_map(tmp_path, chain)
    near = nodes_of(made.neighbourhood("n2"))
    assert list(near) == ["n0", "n1", "n2", "n3", "n4"]
    assert [i for i, node in near.items() if "aria-current" in node.attrib] == ["n2"]
    assert near["n0"].attrib["href"] == "n0.html"
    assert made.neighbourhood("n0") == ""


def test_neighbourhoods_of_the_catalogue_do_not_overlap(shipped: FieldMap) -> None:
    shown = [i for i in shipped.views if shipped.neighbourhood(i)]
    assert shown == [i for i in shipped.views if len(shipped.uses[i]) + len(shipped.users[i]) >= 2]
    for i in shown:
        near = nodes_of(shipped.neighbourhood(i))
        assert {i, *shipped.uses[i], *shipped.users[i]} <= set(near)


# --- layers ------------------------------------------------------------------------------------------


def test_chains_and_diamonds() -> None:
    assert layers({"a": [], "b": ["a"], "c": ["b"]}) == {"a": 0, "b": 1, "c": 2}
    assert layers({"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}) == {"d": 2, "b": 1, "c": 1, "a": 0}
    late = layers({"a": [], "b": ["a"], "side": [], "c": ["b", "side"]})
    assert late["side"] == 1  # next to what uses it


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        layers({"a": ["b"], "b": ["a"]})


def test_long_lines_pass_columns_at_stops_of_their_own() -> None:
    uses = {"a": [], "b": ["a"], "c": ["b", "a"]}
    found = layered(uses, dict.fromkeys(uses, "g"))
    assert len(found.routes["a", "c"]) == 3 and len(found.stops) == 1
    drawing = draw(graph(uses))
    middle = next(box for box in drawing.boxes if box.id == "b")
    path = next(line.path for line in drawing.lines if (line.used, line.user) == ("a", "c"))
    heights = [float(y) for y in re.findall(r"V(-?[\d.]+)", path)]
    assert heights and not any(middle.y < y < middle.y + middle.height for y in heights[:1])
    require_no_overlap(drawing)


def test_crossings_are_counted_and_avoided() -> None:
    uses: dict[str, list[str]] = {"a": [], "b": [], "c": [], "x": ["c"], "y": ["b"], "z": ["a"]}
    left = {i: list(used) for i, used in uses.items()}
    assert crossings([["a", "b", "c"], ["x", "y", "z"]], left) == 3
    columns = order_items(layered(uses, dict.fromkeys(uses, "g")), ["g"])
    assert crossings(columns, left) == 0


def test_groups_with_lines_between_them_are_close() -> None:
    pairs = [("a", "d"), ("d", "b"), ("a", "d"), ("e", "e")]
    assert order_groups(["a", "b", "c", "d", "e"], pairs) in (["a", "d", "b", "c", "e"], ["b", "d", "a", "c", "e"])


# --- places ------------------------------------------------------------------------------------------


def test_places_keep_order_distance_and_bounds() -> None:
    assert settle([5, 40], [10, 10], 2, 100) == [5, 40]
    assert settle([20, 20], [10, 10], 2, 100) == [14, 26]
    assert settle([-50, -50], [10, 10], 2, 100) == [5, 17]
    assert settle([500, 10], [10, 10], 2, 24) == [7, 19]


def test_lanes_are_shared_only_by_lines_that_do_not_meet() -> None:
    assert lanes([net(0, [50]), net(60, [90])], 5) == ([0, 0], 1)
    assert lanes([net(0, [50]), net(54, [90])], 5)[1] == 2
    assert lanes([net(0, [50]), net(20, [90])], 5)[1] == 2


def test_lanes_are_in_an_order_with_few_crossings() -> None:
    order, _ = lanes([net(10, [60]), net(0, [20])], 5)  # the other way round both cross twice
    assert order[1] > order[0]


# --- labels ------------------------------------------------------------------------------------------


def test_labels_are_broken_into_lines_of_like_length() -> None:
    assert wrap("Softmax", 100, 12) == ("Softmax",)
    lines = wrap("Gradient of the quadratic cost function", 160, 12)
    assert len(lines) == 2 and all(width_of(line, 12) <= 160 for line in lines)
    assert " ".join(lines) == "Gradient of the quadratic cost function"
    assert width_of("交叉熵", 10) > 30 > width_of("e\u0301", 10)


def test_labels_that_do_not_fit_are_cut() -> None:
    lines = wrap("word " * 60, 100, 12)
    assert len(lines) == 4 and lines[-1].endswith("…")
    assert all(width_of(line, 12) <= 100 for line in wrap("x" * 200, 100, 12))


# --- ten times the size ------------------------------------------------------------------------------


def test_ten_times_as_many_entries_do_not_overlap() -> None:
    found = chance(1600, 60, 500)
    drawing = draw(found)
    require_no_overlap(drawing)
    assert len(drawing.boxes) == 1600
    assert len(drawing.lines) == sum(map(len, found.uses.values()))
    assert drawing == draw(found)


def test_a_box_is_as_high_as_the_lines_that_end_at_it_need() -> None:
    assert Box("a", ("a",), ends=9).height > Box("a", ("a",), ends=1).height
