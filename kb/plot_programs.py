"""The programs that compute a plot of an entry, and what is wrong with what the entry says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from kb.errors import Fault, LanguageError, nearest
from kb.index.affine import Poly
from kb.index.program import Program, Shape
from kb.model import Entry, Plot, Symbol
from kb.plots import MAX_CELLS, MAX_CURVES, Form, drawn_entry, form_of, given_value, shape_of, whole_numbers
from kb.programs import Programs, elaborated_entry
from kb.source import AT_KEY

_SHOWN = 60  # characters of a name in a message


class Value(NamedTuple):
    """What an argument is given: a program in the names that are varied, or whole numbers as they stand."""

    entry: Entry | None
    program: Program | None
    whole: Any = None


@dataclass
class Plotted:
    """A plot with its programs: ``program`` returns what is drawn, ``values`` compute what arguments are given.

    Where there are ``faults``, the rest may be missing.
    """

    plot: Plot
    entry: Entry
    program: Program | None = None
    values: dict[str, Value] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    form: Form | None = None
    faults: list[Fault] = field(default_factory=list)


def plotted(programs: Programs, entry: Entry, plot: Plot) -> Plotted:
    """Elaborate a plot of an entry that has no faults itself."""
    return _Plotting(programs, entry, plot).run()


class _Plotting:
    def __init__(self, programs: Programs, entry: Entry, plot: Plot) -> None:
        self.programs, self.entry, self.plot = programs, entry, plot
        self.made = Plotted(plot, entry)
        self.shapes: dict[str, Shape] = {}

    def run(self) -> Plotted:
        made = self.made
        for name, _ in self.plot.given:
            self.value(name)
        if not made.faults:
            self.sizes()
        if not made.faults:
            self.steps()
        if made.program is not None:
            self.form(made.program)
        return made

    def steps(self) -> None:
        """Elaborate what is shown, as further steps."""
        drawn = drawn_entry(self.entry, self.plot, self.dimensions())
        elaborated = elaborated_entry(drawn.entry, self.programs, self.programs.entries)
        for fault in elaborated.faults:
            step = re.fullmatch(r"define\[(\d+)\]", fault.field)
            n = int(step.group(1)) - len(self.entry.define) if step else -1
            if n >= 0 and self.plot.show:
                self.fault(fault.message, f".show[{n}]", max(0, fault.start - drawn.begins[n]))
            else:
                self.fault(fault.message)
        if elaborated.program is not None and not self.made.faults:
            self.made.entry = _returning(drawn.entry, drawn.names)
            self.made.program = replace(elaborated.program, returns=tuple((name, name) for name in drawn.names))

    def fault(self, message: str, place: str = "", start: int = AT_KEY) -> None:
        from kb.index.scope import shortened

        self.made.faults.append(Fault(shortened(message), place, start))

    # --- what arguments are given -------------------------------------------------------------------

    def value(self, name: str) -> None:
        """Elaborate what one argument is given."""
        symbol, place = self.entry.symbol(name), f".given.{name}"
        assert symbol is not None
        text = dict(self.plot.given)[name]
        shape: Shape
        if symbol.kind != "real":
            whole = whole_numbers(text)
            if whole is None:
                self.fault(f"{name!r} is of kind {symbol.kind}; write a whole number or a list of them", place, 0)
                return
            shape = tuple(map(Poly.of, shape_of(whole)))
            self.made.values[name] = Value(None, None, whole)
        else:
            try:
                made, result, begin = given_value(self.entry, self.plot, name)
            except LanguageError as error:
                self.fault(error.message, place, 0)
                return
            elaborated = elaborated_entry(made, self.programs, self.programs.entries, True)
            for fault in elaborated.faults:
                self.fault(fault.message, place, max(0, fault.start - begin))
            if elaborated.program is None:
                return
            shape, self.made.values[name] = elaborated.program.shape(result), Value(made, elaborated.program)
        self.shapes[name] = shape
        if len(shape) != len(symbol.shape):
            self.fault(f"this has {_axes(len(shape))}, and {name!r} has {len(symbol.shape)}", place, 0)

    # --- sizes --------------------------------------------------------------------------------------

    def sizes(self) -> None:
        """The sizes of all dimensions: those that are stated, and those of arrays that are given."""
        integers = {s.name: s for s in self.entry.arguments if s.kind == "integer" and not s.shape}
        program = self.programs(self.entry.id)
        dimensions = [d for d in program.dimensions if d not in integers]
        found = self.made.sizes
        for name, size in self.plot.sizes:
            found[name] = size
            if name not in dimensions:
                known = f"; the dimensions are {', '.join(dimensions)}" if dimensions else "; there are none"
                hint = nearest(name[:_SHOWN], dimensions) or known
                self.fault(f"{name[:_SHOWN]!r} is no dimension of this entry{hint}", f".sizes.{name}")
        for name, shape in self.shapes.items():
            symbol = self.entry.symbol(name)
            for declared, given in zip(symbol.shape if symbol else (), shape, strict=False):
                if declared in dimensions and given.constant is not None:
                    found.setdefault(declared, given.constant)
        for name in dimensions:
            if name not in found:
                self.fault(f"nothing says how large {name!r} is; add it under 'sizes': {{{name}: 4}}")
        found |= {name: number for name, s in integers.items() if (number := self.integer(s)) is not None}
        for name, shape in self.shapes.items() if not self.made.faults else ():
            self.compare(name, program.shape(name), shape)

    def dimensions(self) -> dict[str, int]:
        """The sizes that are no integers of the entry's own."""
        return {name: size for name, size in self.made.sizes.items() if self.entry.symbol(name) is None}

    def integer(self, symbol: Symbol) -> int | None:
        """The value of an integer, unless it is varied."""
        value = self.made.values.get(symbol.name)
        if value is not None:
            return int(value.whole)
        return int(symbol.default) if symbol.default is not None and symbol.name not in self.plot.varied else None

    def compare(self, name: str, declared: Shape, shape: Shape) -> None:
        """What an argument is given has the shape that the other sizes ask for."""
        wanted, has = self.numbers(declared), self.numbers(shape)
        if wanted is not None and has is not None and wanted != has:
            self.fault(f"this has shape {list(has)}, and {name!r} must have {list(wanted)} here", f".given.{name}", 0)

    def numbers(self, shape: Shape) -> tuple[int, ...] | None:
        try:
            return tuple(s.evaluate(_look_up(self.made.sizes)) for s in shape)
        except (KeyError, ZeroDivisionError):
            return None

    # --- what is drawn ------------------------------------------------------------------------------

    def form(self, program: Program) -> None:
        """What kind of picture it is; one that cannot be drawn is a fault."""
        plot, varied = self.plot, len(self.plot.over)
        several = len(program.returns) > 1
        for n, (_, held) in enumerate(program.returns):
            place = f".show[{n}]" if plot.show else ""
            shape = self.numbers(program.shape(held))
            if shape is None:
                self.fault("the shape of what is shown depends on what is varied; give it a value", place)
                continue
            form = form_of(varied, shape)
            self.made.form = form
            if several and (shape or varied != 1):
                self.fault("several values are drawn as curves: each must be one number, over one name", place)
            elif form is None:
                self.fault(_undrawable(varied, shape), place)
            elif form == "heat map" and max(shape) > MAX_CELLS:
                self.fault(f"a heat map has at most {MAX_CELLS} rows and columns, not {max(shape)}", place)
        if plot.each and (several or self.made.form != "curves" or program.shape(program.returns[0][1])):
            self.fault("there is one curve for each value; show a single number over one name", ".each")


def _undrawable(varied: int, shape: tuple[int, ...]) -> str:
    if not varied and not shape:
        return "this is one number; write under 'over' what is varied, such as {x: [-2, 2]}"
    what = "one number" if not shape else f"an array of {_axes(len(shape))}"
    names = ("no name", "one name", "two names")[varied]
    return (
        f"{what} over {names} cannot be drawn; show one number over one or two names, a vector over one or a"
        f" matrix over none (an element such as p[0] is one number; up to {MAX_CURVES} may be listed)"
    )


def _axes(count: int) -> str:
    return f"{count} {'axis' if count == 1 else 'axes'}"


def _look_up(sizes: Mapping[str, int]) -> Callable[[Any], int]:
    return lambda atom: sizes[str(atom)]


def _returning(entry: Entry, names: tuple[str, ...]) -> Entry:
    """An entry for the printer of code, whose outputs are these steps."""
    return replace(entry, kind="definition", sides=(), symbols=tuple(_symbols(entry, names)))


def _symbols(entry: Entry, names: tuple[str, ...]) -> Iterator[Symbol]:
    yield from (s for s in entry.symbols if s.role not in ("output", "step"))
    yield from (Symbol(name, role="output") for name in names)
