"""Walking the tree: the value of every kind of node, of every call, and of every step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import mpmath

from kb.errors import LanguageError, ShapeError
from kb.interpreter import calculus
from kb.interpreter.arrays import (
    ARITHMETIC,
    COMPARE,
    Array,
    Value,
    broadcast,
    check_count,
    integer,
    matmul,
    outer,
    positions,
    power,
    shape_of,
    spread,
    stack,
    transpose,
)
from kb.interpreter.functions import ARRAY_FUNCTIONS, BINDERS, FUNCTIONS
from kb.interpreter.plan import Frame, Plan, Together, function_entry, is_on_arrays, plan_of, solve_sizes
from kb.interpreter.ranges import declared_shape, reduce
from kb.interpreter.steps import Recurrence, Writing
from kb.model import Entry, Symbol
from kb.parser import parse_expression
from kb.tree import Array as Literal
from kb.tree import (
    Call,
    Cases,
    Chain,
    Comparison,
    Element,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Power,
    Prime,
    Step,
    Transpose,
    names,
    walk,
)

Lookup = Callable[[str], Entry]
MAX_DEPTH = 40
_BUILT_IN = frozenset(FUNCTIONS) | frozenset(BINDERS) | frozenset(ARRAY_FUNCTIONS)


class Machine:
    """The evaluator. ``stops`` holds the frozen values of ``stop``: found there, they are used."""

    def __init__(self, lookup: Lookup, stops: dict[Any, Value] | None = None) -> None:
        self.lookup = lookup
        self.stops: dict[Any, Value] = {} if stops is None else stops
        self.moving: dict[str, Any] = {}
        self.load = 1
        self.depth = 0
        self.read_names: dict[int, tuple[Node, frozenset[str] | None]] = {}
        self.elements: dict[int, tuple[Node, list[Element]]] = {}
        self.nodes: dict[type[Node], Callable[[Any, Frame], Value]] = {
            Number: self._number,
            Name: self._name,
            Element: self._element,
            Transpose: lambda node, frame: transpose(self.value(node.operand, frame)),
            Negative: self._negative,
            Chain: self._chain,
            Power: lambda node, frame: broadcast(power, self.value(node.base, frame), self.value(node.exponent, frame)),
            Call: self._call,
            Prime: lambda node, frame: calculus.prime(self, node, frame),
            Comparison: self._comparison,
            Logic: self._logic,
            Not: lambda node, frame: broadcast(lambda a, _: not a, self.value(node.operand, frame), 0),
            Cases: self._cases,
            Literal: lambda node, frame: self._literal(node, frame),
        }
        self.operators: dict[str, tuple[Callable[[Machine, Call, Frame], Value], int]] = {
            "d": (calculus.derivative, 2),
            "vjp": (calculus.vjp, 3),
            "E": (calculus.expectation, 3),
            "integral": (calculus.integral, 4),
            "stop": (calculus.stop, 1),
            "old": (calculus.old, 1),
            "delta": (calculus.kronecker, 2),
        }

    def value(self, node: Node, frame: Frame) -> Value:
        """The value of a node; LanguageError and ShapeError point at it."""
        try:
            return self.nodes[type(node)](node, frame)
        except LanguageError as error:
            if error.start == 0 and node.at:
                raise LanguageError(error.message, node.at) from error
            raise
        except ShapeError as error:
            raise LanguageError(f"{error} in '{str(node)[:60]}'", node.at) from error
        except OverflowError as error:
            raise LanguageError(f"'{str(node)[:60]}' is too large to compute", node.at) from error
        except RecursionError as error:
            raise LanguageError("calls and parentheses nested too deep; split the formula into steps") from error

    # --- names, reads and operators -------------------------------------------------------------------

    def _number(self, node: Number, frame: Frame) -> Value:
        return int(node.text) if node.text.isdigit() else mpmath.mpf(node.text)

    def _name(self, node: Name, frame: Frame) -> Value:
        name = node.id
        if name in frame.bound:
            return frame.bound[name]
        if name in frame.values:
            value = frame.values[name]
            if isinstance(value, Array) and None in value.data:
                raise LanguageError(f"'{name}' has elements that no step has written", node.at)
            return value
        if name in frame.sizes:
            return frame.sizes[name]
        if name in frame.plan.declared:
            raise LanguageError(f"'{name}' has no value yet; a step reads it before it is defined", node.at)
        if name == "pi":
            return +mpmath.pi
        if name == "oo":
            return mpmath.inf
        raise LanguageError(f"'{name}' is not declared, and no index of that name is bound here", node.at)

    def _element(self, node: Element, frame: Frame) -> Value:
        picked = [self._pick(index, frame) for index in node.indices]
        name = node.base.id if isinstance(node.base, Name) else ""
        if name in frame.values:
            base = frame.values[name]
        elif name in frame.beyond or (name and frame.plan.symbols.get(name)):
            base = None
        else:
            base = self.value(node.base, frame)
        return self._read(node, base, picked, name, frame)

    def _pick(self, node: Node, frame: Frame) -> Any:
        value = frame.bound.get(node.id) if isinstance(node, Name) else None
        if value is None:
            value = self.value(node, frame)
        return value if type(value) is int or isinstance(value, Array) else integer(value)

    def _read(self, node: Element, base: Value, picked: list[Any], name: str, frame: Frame) -> Value:
        if any(isinstance(i, Array) for i in picked):
            return self._gather(node, base, picked, name, frame)
        at = tuple(picked)
        shape = shape_of(base)
        if len(at) > len(shape) and base is not None:
            raise LanguageError(f"'{node}' has {len(at)} indices where the array has {len(shape)} axes", node.at)
        if base is not None and all(0 <= i < size for i, size in zip(at, shape, strict=False)):
            part = base[at]
            if part is None or (isinstance(part, Array) and None in part.data):
                raise LanguageError(f"'{node}' is read at {list(at)} before it is written", node.at)
            return part
        cell = frame.beyond_at(name, at, shape[len(at) :])
        if cell is not None:
            return cell
        symbol = frame.plan.symbols.get(name)
        if symbol is not None and symbol.outside is not None:
            shape = shape if base is not None else declared_shape(self, name, frame) or ()
            return spread(self.value(parse_expression(symbol.outside), frame), shape[len(at) :])
        if base is None:
            raise LanguageError(f"'{node}' is read at {list(at)} before it is written", node.at)
        raise LanguageError(
            f"'{node}' is read at {list(at)}, outside its shape {list(shape)}; "
            "bound the index by a condition, or declare the symbol's value with 'outside'",
            node.at,
        )

    def _gather(self, node: Element, base: Value, picked: list[Any], name: str, frame: Frame) -> Value:
        shape = next(i.shape for i in picked if isinstance(i, Array))
        rows = []
        for at in positions(shape):
            whole = [integer(i[at]) if isinstance(i, Array) else i for i in picked]
            rows.append(self._read(node, base, whole, name, frame))
        return stack(rows, shape)

    def _negative(self, node: Negative, frame: Frame) -> Value:
        value = self.value(node.operand, frame)
        return value.map(lambda x: -x) if isinstance(value, Array) else -value

    def _chain(self, node: Chain, frame: Frame) -> Value:
        operators = node.operators
        result = self._factor(node.operands[0], frame, operators[0] == "@")
        for at, operator in enumerate(operators):
            operand = node.operands[at + 1]
            if operator != "@":
                beside = at + 1 < len(operators) and operators[at + 1] == "@"
                result = broadcast(ARITHMETIC[operator], result, self._factor(operand, frame, beside))
                continue
            right = self._factor(operand, frame, True)
            row = isinstance(operand, Transpose) and len(shape_of(right)) == 1
            result = outer(result, right) if row and len(shape_of(result)) == 1 else matmul(result, right)
        return result

    def _factor(self, node: Node, frame: Frame, beside: bool) -> Value:
        """An operand; ``x.T`` of a vector is x itself beside '@'."""
        if beside and isinstance(node, Transpose):
            value = self.value(node.operand, frame)
            return value if len(shape_of(value)) == 1 else transpose(value)
        return self.value(node, frame)

    def _comparison(self, node: Comparison, frame: Frame) -> Value:
        return broadcast(COMPARE[node.operator], self.value(node.left, frame), self.value(node.right, frame))

    def _logic(self, node: Logic, frame: Frame) -> Value:
        """Left to right, and no further than a number needs: the rest may be undefined there."""
        conjunction = node.operator == "and"
        result = self.value(node.operands[0], frame)
        for operand in node.operands[1:]:
            if not isinstance(result, Array) and bool(result) != conjunction:
                return bool(result)
            both = (lambda a, b: bool(a and b)) if conjunction else (lambda a, b: bool(a or b))
            result = broadcast(both, result, self.value(operand, frame))
        return result

    def _cases(self, node: Cases, frame: Frame) -> Value:
        condition = self.value(node.condition, frame)
        if not isinstance(condition, Array):
            return self.value(node.then if condition else node.otherwise, frame)
        # A pair stands for (condition, then) until the other branch is known.
        pairs = broadcast(lambda c, a: (c, a), condition, self.value(node.then, frame))
        return broadcast(lambda pair, b: pair[1] if pair[0] else b, pairs, self.value(node.otherwise, frame))

    def _literal(self, node: Literal, frame: Frame) -> Value:
        return stack([self.value(item, frame) for item in node.items], (len(node.items),))

    # --- loops ----------------------------------------------------------------------------------------

    def loop(self, indices: list[str], ranges: list[range], conditions: list[Node], frame: Frame) -> Iterator[None]:
        """Bind the indices to every combination that meets the conditions, the last one fastest."""
        count = math.prod(len(r) for r in ranges)
        check_count(self.load * count)
        before, self.load = self.load, max(1, self.load * count)
        try:
            for assignment in itertools.product(*ranges):
                frame.bound.update(zip(indices, assignment, strict=True))
                if all(self.value(condition, frame) for condition in conditions):
                    yield
        finally:
            self.load = before
            for name in indices:
                frame.bound.pop(name, None)

    # --- calls ----------------------------------------------------------------------------------------

    def _call(self, node: Call, frame: Frame) -> Value:
        name = node.function
        if name in BINDERS:
            return reduce(self, node, frame, name)
        if name in FUNCTIONS:
            (argument,) = self.arguments(node, frame, 1, 1)
            return argument.map(FUNCTIONS[name]) if isinstance(argument, Array) else FUNCTIONS[name](argument)
        if not frame.bound:
            return self._long_call(node, frame, name)
        read = self.read_names.get(id(node))
        if read is None or read[0] is not node:
            rest = any(isinstance(n, Call) and n.rest for n in walk(node))
            read = (node, None if rest else frozenset(names(node)))
            self.read_names[id(node)] = read
        if read[1] is None or not read[1].isdisjoint(frame.bound):
            return self._long_call(node, frame, name)
        # The running loops do not change it, so once is enough.
        kept = frame.memo.get(id(node))
        if kept is None or kept[0] is not node:
            kept = (node, self._long_call(node, frame, name))
            frame.memo[id(node)] = kept
        return kept[1]

    def _long_call(self, node: Call, frame: Frame, name: str) -> Value:
        """A call other than a reduction or an elementary function."""
        if name in self.operators:
            operator, count = self.operators[name]
            if len(node.arguments) != count:
                raise LanguageError(f"{name} takes {count} arguments, not {len(node.arguments)}", node.at)
            return operator(self, node, frame)
        symbol = frame.plan.symbols.get(name)
        if symbol is not None and symbol.kind == "reducer":
            return reduce(self, node, frame, symbol.instance or "")
        results = self.outputs(node, frame)
        if len(results) != 1:
            raise LanguageError(f"{name} has {len(results)} outputs; write a step 'a, b = {name}(...)'", node.at)
        return results[0]

    def arguments(self, node: Call, frame: Frame, fewest: int, most: int) -> list[Value]:
        """The values of a call's arguments, once their number is right."""
        if not fewest <= len(node.arguments) <= most:
            wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            raise LanguageError(f"{node.function} takes {wanted} arguments, not {len(node.arguments)}", node.at)
        return [self.value(argument, frame) for argument in node.arguments]

    def outputs(self, node: Call, frame: Frame) -> list[Value]:
        """All outputs of a called entry, abstract function or function of arrays, in declared order."""
        if node.function in ARRAY_FUNCTIONS:
            function, fewest, most = ARRAY_FUNCTIONS[node.function]
            found = function(*self.arguments(node, frame, fewest, most))
            return list(found) if isinstance(found, tuple) else [found]
        path = (frame.path, frame.position, node.at, self.bound_key(frame))
        symbol = frame.plan.symbols.get(node.function)
        abstract = symbol is not None and symbol.kind in ("function", "law")
        if symbol is not None and abstract and symbol.instance in _BUILT_IN and not is_on_arrays(symbol):
            return [self._call(Call(symbol.instance, node.arguments, node.rest, at=node.at), frame)]
        entry = self._callee(node, frame)
        arguments = entry.arguments
        if len(node.arguments) > len(arguments):
            raise LanguageError(f"{entry.id} takes at most {len(arguments)} arguments", node.at)
        given = {s.name: self.value(a, frame) for s, a in zip(arguments, node.arguments, strict=False)}
        if node.rest:
            for symbol in arguments[len(node.arguments) :]:
                if symbol.name in frame.values or symbol.name in frame.sizes:
                    given[symbol.name] = self._name(Name(symbol.name, at=node.at), frame)
        known = frame.sizes
        if not abstract:  # a size here must not hide an index of the called entry
            known = {name: size for name, size in known.items() if name in plan_of(entry).declared}
        try:
            results = self.invoke(entry, given, known, path)
        except LanguageError as error:
            where = f"in '{entry.id}': "
            message = error.message if error.message.startswith(where) else where + error.message
            raise LanguageError(message, node.at) from error
        wanted = entry.outputs
        if not wanted:
            raise LanguageError(f"'{entry.id}' has no output and cannot be called", node.at)
        missing = [symbol.name for symbol in wanted if symbol.name not in results]
        if missing:
            raise LanguageError(f"no step of '{entry.id}' defines its output '{missing[0]}'", node.at)
        return [results[symbol.name] for symbol in wanted]

    def _callee(self, node: Call, frame: Frame) -> Entry:
        """The entry that a call means; an abstract function means its instance."""
        symbol = frame.plan.symbols.get(node.function)
        name = node.function
        if symbol is not None and symbol.kind in ("function", "law"):
            if symbol.instance is None:
                raise LanguageError(f"the function '{symbol.name}' has no instance to compute with", node.at)
            name = symbol.instance
            if name in symbol.arguments or is_on_arrays(symbol) or not isinstance(parse_expression(name), Name):
                return function_entry(symbol)
        try:
            return self.lookup(name)
        except KeyError:
            raise LanguageError(f"'{name}' is neither a function nor an entry", node.at) from None

    def bound_key(self, frame: Frame) -> tuple[Any, ...]:
        """What tells one evaluation from another: the loops' values, the moving one at its base."""
        return tuple((name, self.moving.get(name, value)) for name, value in frame.bound.items())

    def invoke(
        self,
        entry: Entry,
        given: Mapping[str, Value],
        sizes: dict[str, int],
        path: tuple[Any, ...] = (),
        strict: bool = False,
    ) -> dict[str, Value]:
        """Run an entry, once for every element of the arguments' extra leading axes."""
        plan = plan_of(entry)
        values = {s.name: self.argument(s, given, plan, sizes) for s in plan.arguments}
        lead: tuple[int, ...] = ()
        mapped = set()
        for symbol in plan.arguments:
            shape = shape_of(values[symbol.name])
            extra = len(shape) - len(symbol.shape)
            if extra < 0 or (extra and lead and shape[:extra] != lead):
                why = f"leading axes {list(shape[:extra])} beside {list(lead)}" if extra > 0 else f"shape {list(shape)}"
                declared = ", ".join(symbol.shape)
                raise ShapeError(f"{entry.id}: {symbol.name} is declared [{declared}] and is given {why}")
            if extra:
                lead = shape[:extra]
                mapped.add(symbol.name)
        if not mapped:
            return self.execute(plan, values, sizes, path, strict).values
        runs = []
        check_count(self.load * math.prod(lead), "a map")
        for at in positions(lead):
            part = {name: value[at] if name in mapped else value for name, value in values.items()}
            runs.append(self.execute(plan, part, sizes, (*path, at), strict).values)
        if not runs:
            raise ShapeError(f"{entry.id}: nothing to map over in leading axes {list(lead)}")
        return {name: stack([run[name] for run in runs], lead) for name in runs[0]}

    def argument(self, symbol: Symbol, given: Mapping[str, Value], plan: Plan, sizes: dict[str, int]) -> Value:
        if symbol.name in given:
            value = given[symbol.name]
            if symbol.kind in ("integer", "label"):
                return value.map(integer) if isinstance(value, Array) else integer(value)
            return value
        if symbol.default is None:
            raise ShapeError(f"{plan.entry.id}: the argument '{symbol.name}' is missing")
        return self.value(parse_expression(symbol.default), Frame(plan, {}, sizes, ()))

    def execute(
        self, plan: Plan, values: dict[str, Value], sizes: dict[str, int], path: tuple[Any, ...], strict: bool
    ) -> Frame:
        """Run the steps on arguments of exactly the declared numbers of axes."""
        if self.depth >= MAX_DEPTH:
            raise LanguageError(f"calls nested deeper than {MAX_DEPTH}; do entries call each other in a circle?")
        self.depth += 1
        moving, self.moving = self.moving, {}
        try:
            frame = Frame(plan, values, solve_sizes(plan, values, sizes, strict), path)
            for step in plan.steps:
                self.step(step, frame)
            return frame
        finally:
            self.depth -= 1
            self.moving = moving

    # --- steps ----------------------------------------------------------------------------------------

    def step(self, step: Step | Together, frame: Frame) -> None:
        """Run the step at the frame's position, and move on."""
        if isinstance(step, Together):
            Recurrence(self, frame, step.steps).run()
        elif len(step.targets) > 1:
            if not isinstance(step.value, Call):
                raise LanguageError("several targets need the call of an entry with several outputs", step.at)
            results = self.outputs(step.value, frame)
            if len(results) != len(step.targets):
                raise LanguageError(f"{len(step.targets)} targets for {len(results)} outputs", step.at)
            for target, result in zip(step.targets, results, strict=True):
                self._assign(target, result, frame)
        elif isinstance(step.targets[0], Name):
            self._assign(step.targets[0], self.value(step.value, frame), frame)
        else:
            Writing(self, frame, step.targets[0], step.value).run()
        frame.memo.clear()
        frame.position += 1
        frame.snapshots.append(dict(frame.values))

    def _assign(self, target: Node, value: Value, frame: Frame) -> None:
        if not isinstance(target, Name):
            raise LanguageError("among several targets only whole names can stand", target.at)
        if isinstance(value, bool) or (isinstance(value, Array) and any(isinstance(x, bool) for x in value.data)):
            value = value.map(int) if isinstance(value, Array) else int(value)
        shape = declared_shape(self, target.id, frame)
        if shape is not None:
            try:
                value = spread(value, shape)
            except ShapeError as error:
                raise LanguageError(f"'{target.id}' is given {error}", target.at) from error
        frame.values[target.id] = value
