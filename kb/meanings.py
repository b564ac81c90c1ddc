"""What values a symbol takes, in words."""

from __future__ import annotations

from kb.model import Symbol
from kb.vocabulary import DOMAINS


def kind_of(symbol: Symbol) -> str:
    """What values it takes, in words that can stand alone."""
    domain = DOMAINS[symbol.domain].about
    match symbol.kind:
        case "real" if symbol.domain == "real" and symbol.role in ("output", "step"):
            return "real"  # not any real number: which ones, the formula says
        case "real":
            return domain
        case "integer":
            return "whole number" if symbol.domain == "real" else f"whole number, {domain}"
        case "label":
            return f"label, one of {symbol.classes}"
        case "law":
            return "probability law"
        case kind:
            return str(kind)


def values_of(symbol: Symbol) -> str:
    """What is particular about its values, in a few words; nothing for any real number or function."""
    match symbol.kind:
        case "real":
            return DOMAINS[symbol.domain].words
        case "integer":
            return ", ".join(filter(None, ("whole number", DOMAINS[symbol.domain].words)))
        case "label":
            return f"label, one of {symbol.classes}"
        case _:
            return ""
