"""Round numbers along an axis, and numbers as people read them."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, floor, isfinite, log10

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_TOO_MANY = 100_000  # from here on, and below one over it, powers of ten are easier to read


def ticks(low: float, high: float, most: int = 6, whole: bool = False) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten from ``low`` to ``high``, at most so many."""
    span = high - low
    if not (isfinite(span) and span > 0):
        return ()
    power = floor(log10(span / most))
    steps = [m * 10.0**p for p in (power, power + 1, power + 2) for m in (1, 2, 5)]
    for step in steps:
        if whole and step != round(step):
            continue
        slack = 1e-9 * span / step
        first, last = ceil(low / step - slack), floor(high / step + slack)
        if last - first < most:
            # The quotient is exact where the product is not: 3*0.1 is 0.30000000000000004.
            return tuple(n * step if step >= 1 else n / round(1 / step) for n in range(first, last + 1))
    return ()


def tick_texts(values: tuple[float, ...]) -> tuple[str, ...]:
    """The numbers with as many decimals as the distance between them asks for."""
    largest = max(map(abs, values), default=0.0)
    distances = [b - a for a, b in pairwise(values)]
    smallest = min(distances, default=largest)
    if largest >= _TOO_MANY or 0 < smallest < 10 / _TOO_MANY:
        return tuple("0" if v == 0 else _with_power(f"{v:.2e}") for v in values)
    decimals = max(0, -floor(log10(smallest) + 1e-9)) if smallest > 0 else 0
    return tuple(_fixed(v, decimals) for v in values)


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", "−")


def number_text(value: float, digits: int = 3) -> str:
    """A number in a few digits: ``−0.25``, ``1200``, ``2×10⁻⁴``."""
    if value == 0:
        return "0"
    if not isfinite(value):
        return str(value).replace("inf", "∞").replace("-", "−")
    if value == round(value) and abs(value) < _TOO_MANY:
        return f"{value:.0f}".replace("-", "−")
    written = f"{value:.{digits - 1}e}"
    mantissa, _, exponent = written.partition("e")
    power = int(exponent)
    if -4 <= power < digits + 2:
        text = f"{float(f'{mantissa}e{power}'):.{max(0, digits - 1 - power)}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    return _with_power(written)


def _with_power(written: str) -> str:
    """``1.50e+05`` as ``1.5×10⁵``."""
    mantissa, _, exponent = written.partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    factor = {"1": "", "-1": "−"}.get(mantissa, mantissa.replace("-", "−") + "×")
    return f"{factor}10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
