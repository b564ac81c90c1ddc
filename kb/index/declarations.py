"""The symbols of an entry: dimensions, shapes, what is known about sizes, what abstract functions stand for."""

from __future__ import annotations

from kb import tree
from kb.errors import EqkbError, Fault, LanguageError, nearest
from kb.index.affine import Facts, Poly
from kb.index.array_functions import array_instance
from kb.index.calls import Calls
from kb.index.expressions import Derive, Expressions
from kb.index.nodes import ZERO
from kb.index.operators import check_reducer, instance_of, points_of
from kb.index.padding import outside_value
from kb.index.program import Program, Step, Tensor
from kb.index.scope import MAX_LITERAL_SIZE, Array, Poisoned, Scope, shortened, size_of
from kb.index.signatures import is_law_of_vectors, is_on_arrays
from kb.model import Entry, Symbol
from kb.parser import check_name, parse_expression
from kb.vocabulary import BUILT_IN, DOMAINS

ABSTRACT = ("function", "law", "reducer")


class Declarations:
    """What an entry declares, in the scope of its formulas; faults are collected."""

    def __init__(self, entry: Entry, calls: Calls, derive: Derive | None, infer: bool) -> None:
        self.entry = entry
        self.scope = Scope()
        self.expressions = Expressions(self.scope, calls, derive)
        self.infer = infer
        self.faults: list[Fault] = []
        self.failed = False
        self.parts: dict[str, list[Step]] = {}
        self.defined_in: dict[str, list[tuple[int, tree.Step]]] = {}
        self.waiting: dict[str, list[tuple[tree.Element, tuple[Poly, ...], Array]]] = {}

    def fault(self, field: str, error: EqkbError) -> None:
        """Record an error, unless it only follows from an earlier one."""
        self.failed = True
        if not isinstance(error, Poisoned):
            start = error.start if isinstance(error, LanguageError) else 0
            if self.entry.sides and field in [f"define[{len(self.entry.define) - n}]" for n in (1, 2)]:
                field, start = f"claims.{self.entry.claims[0].name}.formula", 0
            self.faults.append(Fault(shortened(str(error)), field, start))

    # --- symbols --------------------------------------------------------------------------------

    def symbols(self) -> None:
        """Declare dimensions and symbols, then what is known about sizes."""
        for symbol in self.entry.symbols:
            try:
                check_name(symbol.name, what="symbol")
                if symbol.name in BUILT_IN and symbol.kind in ABSTRACT:
                    raise LanguageError(f"{symbol.name!r} is a built-in function; choose another name")
            except LanguageError as error:
                self.fault(f"symbols.{symbol.name}", error)
            self.scope.declared[symbol.name] = symbol
        self.dimensions()
        for symbol in self.entry.symbols:
            self.declare(symbol)
        self.know()
        for symbol in self.entry.symbols:
            if symbol.kind in ABSTRACT:
                try:
                    self.instance(symbol)
                except EqkbError as error:
                    self.fault(f"symbols.{symbol.name}.instance", error)

    def instance(self, symbol: Symbol) -> None:
        """What an abstract symbol stands for. Raises LanguageError."""
        if symbol.kind == "reducer":
            check_reducer(symbol)
        elif is_law_of_vectors(symbol):
            points_of(symbol)
        elif is_on_arrays(symbol):
            self.scope.instances[symbol.name] = array_instance(symbol, self.scope, self.program_of_instance)
        else:
            self.scope.instances[symbol.name] = instance_of(self.expressions, symbol)

    def program_of_instance(self, entry: Entry, infer: bool) -> Program:
        """The program of what stands for an abstract function of arrays; whoever elaborates entries has one."""
        raise NotImplementedError

    def dimensions(self) -> None:
        """Every name in a shape that is not a symbol is a dimension; signatures of functions may have more."""
        for symbol in self.entry.symbols:
            if symbol.kind in ABSTRACT:
                continue
            for n, text in [*enumerate(symbol.shape), *([(None, symbol.classes)] if symbol.classes else [])]:
                field = f"symbols.{symbol.name}.classes" if n is None else f"symbols.{symbol.name}.shape[{n}]"
                try:
                    node = parse_expression(str(text))
                    for name in sorted(tree.names(node)):
                        check_name(name, what="dimension")
                        declared = self.scope.declared.get(name)
                        if declared is None:
                            if name not in self.scope.dimensions:
                                self.scope.dimensions.append(name)
                        elif declared.kind != "integer" or declared.shape:
                            raise LanguageError(
                                f"{name!r} is a symbol and cannot be a dimension as well; rename one of them"
                            )
                except LanguageError as error:
                    self.fault(field, error)
                    self.scope.poisoned.add(symbol.name)

    def size(self, text: str) -> Poly:
        size = size_of(parse_expression(text), lambda node: Poly.of(node.id))
        if size.constant is not None and not 0 < size.constant <= MAX_LITERAL_SIZE:
            raise LanguageError(f"a size lies between 1 and {MAX_LITERAL_SIZE}, not {size.constant}")
        return size

    def declare(self, symbol: Symbol) -> None:
        scope = self.scope
        if symbol.kind in ABSTRACT:
            scope.abstract[symbol.name] = symbol
            return
        if symbol.name in scope.poisoned:
            return
        if symbol.kind == "label" and not symbol.classes:
            message = "a label needs 'classes': the dimension it selects from"
            self.fault(f"symbols.{symbol.name}", LanguageError(message))
        if symbol.domain not in DOMAINS:
            message = f"there is no domain {symbol.domain!r}{nearest(symbol.domain, list(DOMAINS))}"
            self.fault(f"symbols.{symbol.name}.domain", LanguageError(message))
        try:
            shape = tuple(self.size(s) for s in symbol.shape)
        except LanguageError as error:
            self.fault(f"symbols.{symbol.name}.shape", error)
            scope.poisoned.add(symbol.name)
            return
        value = outside_value(symbol)
        outside = value == ZERO
        if symbol.role in ("output", "step"):
            if outside:
                self.open(symbol.name, shape, outside)
            else:
                scope.later[symbol.name] = 0
            return
        if value is not None and not outside:
            scope.padding[symbol.name] = value
        scope.tensors[symbol.name] = Tensor(symbol.name, shape, symbol, outside)
        scope.current[symbol.name] = symbol.name

    def open(self, name: str, shape: tuple[Poly, ...], outside: bool = False) -> None:
        """Let an array be read that is not all defined yet: by the recurrence that defines it."""
        self.scope.tensors[name] = Tensor(name, shape, outside=outside)
        self.scope.current[name] = name
        self.scope.opened.add(name)

    def know(self) -> None:
        """Lower bounds of integers, and what the shapes and ``requires`` imply about sizes."""
        lower = dict.fromkeys(self.scope.dimensions, 1)
        for symbol in self.entry.symbols:
            if symbol.kind == "integer":
                lower[symbol.name] = {"positive": 1, "nonnegative": 0}.get(symbol.domain, -(10**9))
                if symbol.domain == "real" and symbol.role == "hyperparameter":
                    lower[symbol.name] = 0
        known: list[Poly] = []
        for symbol in self.entry.symbols:
            for text in symbol.shape if symbol.kind not in ABSTRACT else ():
                known += self._numerators(text)
        for n, text in enumerate(self.entry.requires):
            try:
                known += self._requirement(text)
            except LanguageError as error:
                self.fault(f"requires[{n}]", error)
        self.scope.facts = Facts(lower, known)

    def _numerators(self, text: str) -> list[Poly]:
        from kb.index.affine import FloorDiv

        try:
            size = self.size(text)
        except LanguageError:
            return []
        return [a.numerator for a in size.atoms() if isinstance(a, FloorDiv) and a.denominator.constant is None]

    def _requirement(self, text: str) -> list[Poly]:
        node = parse_expression(text)
        if not isinstance(node, tree.Comparison):
            raise LanguageError("a requirement is a comparison of sizes, such as N >= d", node.at)
        if any(isinstance(n, tree.Chain) and "%" in n.operators for n in tree.walk(node)):
            return []
        try:
            gap = size_of(node.left, self._size_name) - size_of(node.right, self._size_name)
        except LanguageError:
            self.expressions.condition(node)  # a requirement on numbers: it must at least make sense
            return []
        return {">=": [gap], ">": [gap - 1], "<=": [-gap], "<": [-gap - 1], "==": [gap, -gap]}.get(node.operator, [])

    def _size_name(self, node: tree.Name) -> Poly:
        symbol = self.scope.declared.get(node.id)
        if node.id in self.scope.dimensions or (symbol is not None and symbol.kind == "integer"):
            return Poly.of(node.id)
        raise LanguageError(f"{node.id!r} is not a size", node.at)
