"""eqkb: a symbolic equation knowledge base for deep learning.

>>> import kb
>>> softmax = kb.load_catalogue()["softmax"]
>>> print(softmax.text())
p[j] = exp(z[j]) / Σ_k exp(z[k])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kb.errors import (
    CatalogueError,
    CheckFailed,
    EqkbError,
    Fault,
    LanguageError,
    Location,
    NotDifferentiable,
    NotFound,
    ShapeError,
)

if TYPE_CHECKING:
    from kb.catalogue import Catalogue, load_catalogue, validate
    from kb.equation import Derivative, Equation
    from kb.typed import parse

__version__ = "0.1.0"
# Where the names below are; a program that only lists entries never loads the calculus.
_HOMES = {
    "Catalogue": "kb.catalogue",
    "load_catalogue": "kb.catalogue",
    "validate": "kb.catalogue",
    "Derivative": "kb.equation",
    "Equation": "kb.equation",
    "parse": "kb.typed",
}

__all__ = [
    "Catalogue",
    "CatalogueError",
    "CheckFailed",
    "Derivative",
    "EqkbError",
    "Equation",
    "Fault",
    "LanguageError",
    "Location",
    "NotDifferentiable",
    "NotFound",
    "ShapeError",
    "load_catalogue",
    "parse",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
