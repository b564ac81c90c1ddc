"""What is above 0 for all values of the symbols, as far as the form of an expression shows it."""

from __future__ import annotations

from kb.index.nodes import Add, Bind, Const, Expr, Fn, Mul, Num, Pow, Read, Val
from kb.index.program import Program
from kb.vocabulary import DOMAINS

_POSITIVE = ("exp", "abs", "cosh")


def domain_of(expr: Expr, program: Program) -> str:
    """The domain of the symbol that is read; empty for anything else."""
    tensor = program.tensors.get(expr.name) if isinstance(expr, Read) and not expr.outside else None
    return tensor.symbol.domain if tensor is not None and tensor.symbol is not None else ""


def is_positive(expr: Expr, program: Program) -> bool:
    """Whether an expression is above 0 but for isolated points, where it is 0."""
    match expr:
        case Fn(name=name):
            return name in _POSITIVE
        case Const(name=name):
            return name == "pi"
        case Num(value=value):
            return value > 0
        case Val(poly=poly):
            return program.facts.nonnegative(poly - 1)
        case Read():
            domain = domain_of(expr, program)
            return domain in DOMAINS and DOMAINS[domain].sign == "positive"
        case Add(args=args) | Mul(args=args):
            return all(is_positive(a, program) for a in args)
        case Pow(base=base):
            return is_positive(base, program)
        case Bind(op="sum" | "prod", body=body):
            return is_positive(body, program)
    return False
