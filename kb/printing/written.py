"""Steps as the reader of a page wants them: calls that pass everything under its own name, written out."""

from __future__ import annotations

from collections.abc import Mapping

from kb import tree
from kb.model import Entry
from kb.parser import parse_statement


def written_out(step: tree.Step, entries: Mapping[str, Entry], ranks: Mapping[str, int]) -> tree.Step:
    """``i = gate(x, h, ...)`` as the called entry states it, if that is one step with the same names.

    ``ranks`` gives the axes of all names of the calling entry: where it maps the called one over
    leading axes, the step stays a call, and so it does where the called entry has a notation.
    """
    match step:
        case tree.Step((tree.Name() as target,), tree.Call(function, passed, True)) if function in entries:
            callee = entries[function]
        case _:
            return step
    wanted = tuple(tree.Name(a.name) for a in callee.arguments)
    declared = {s.name: len(s.shape) for s in callee.symbols}
    plain = all(s.is_argument or s.role == "output" for s in callee.symbols)
    if callee.notation or len(callee.define) != 1 or not plain or passed != wanted[: len(passed)]:
        return step
    if any(ranks.get(a.id) != declared[a.id] for a in wanted):
        return step
    stated = parse_statement(callee.define[0])
    match stated:
        case tree.Step((tree.Name(),), value):
            left: tree.Name | tree.Element = target
        case tree.Step((tree.Element(tree.Name(), indices),), value):
            left = tree.Element(target, indices)
        case _:
            return step
    bound = tree.names(stated) - set(declared)
    return step if bound & set(ranks) else tree.Step((left,), value)
