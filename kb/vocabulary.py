"""The built-in words of the language, each row with all its faces side by side.

A row exists only for what the language cannot state: everything else is an entry. Adding a
function is adding a row and a test. Derivatives are texts of the language in the argument ``x``
(and ``value``, the function's own result where reusing it is the usual form).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """An elementwise function of one real number.

    ``derivative`` is None where there is none; ``kink`` is the value of the argument where the
    function is not differentiable and ``derivative`` states a convention.
    """

    name: str
    numpy: str
    sympy: str
    latex: str
    derivative: str | None
    text: str = ""
    kink: str | None = None
    domain: str = "real"
    about: str = ""


_ROWS = (
    Function("exp", "np.exp", "exp", r"\exp", "value", about="exponential"),
    Function("log", "np.log", "log", r"\log", "1/x", domain="positive", about="natural logarithm"),
    Function("sqrt", "np.sqrt", "sqrt", r"\sqrt", "1/(2*value)", text="√", domain="nonnegative", about="square root"),
    Function("abs", "np.abs", "Abs", "", "sign(x)", kink="0", about="absolute value; derivative 0 at 0"),
    Function("sign", "np.sign", "sign", r"\operatorname{sign}", "0", kink="0", about="sign, 0 at 0"),
    Function("sin", "np.sin", "sin", r"\sin", "cos(x)", about="sine"),
    Function("cos", "np.cos", "cos", r"\cos", "-sin(x)", about="cosine"),
    Function("tan", "np.tan", "tan", r"\tan", "1 + value**2", about="tangent"),
    Function("arcsin", "np.arcsin", "asin", r"\arcsin", "1/sqrt(1 - x**2)", domain="unit_ball", about="inverse sine"),
    Function(
        "arccos", "np.arccos", "acos", r"\arccos", "-1/sqrt(1 - x**2)", domain="unit_ball", about="inverse cosine"
    ),
    Function("arctan", "np.arctan", "atan", r"\arctan", "1/(1 + x**2)", about="inverse tangent"),
    Function("sinh", "np.sinh", "sinh", r"\sinh", "cosh(x)", about="hyperbolic sine"),
    Function("cosh", "np.cosh", "cosh", r"\cosh", "sinh(x)", about="hyperbolic cosine"),
    Function("tanh", "np.tanh", "tanh", r"\tanh", "1 - value**2", about="hyperbolic tangent"),
    Function("erf", "erf", "erf", r"\operatorname{erf}", "2*exp(-x**2)/sqrt(pi)", about="error function"),
    Function("floor", "np.floor", "floor", r"\lfloor", None, about="largest integer not above"),
    Function("round", "np.round", "eqkb_round", r"\operatorname{round}", None, about="nearest integer, ties to even"),
)
FUNCTIONS: dict[str, Function] = {row.name: row for row in _ROWS}

# Words that bind an index: body first, then indices and conditions.
BINDERS = {
    "sum": "sum over indices",
    "mean": "arithmetic mean over indices",
    "prod": "product over indices",
    "max": "largest value over indices, or of several values elementwise",
    "min": "smallest value over indices, or of several values elementwise",
    "argmax": "index of the largest value, the first in reading order",
    "argmin": "index of the smallest value, the first in reading order",
    "logsumexp": "logarithm of a sum of exponentials",
    "concat": "blocks joined along the last axis",
}

# Binders that an abstract reducer may stand for.
REDUCTIONS = ("sum", "mean", "prod", "max", "min", "logsumexp")


@dataclass(frozen=True, slots=True)
class MatrixFunction:
    """A primitive of a whole matrix, mapped over leading axes; calculus has a rule for its derivative.

    ``outputs`` gives each result a name and its axes, which are the argument's rows ``m`` and columns
    ``n``; a function that is not ``tall`` takes square matrices only. ``words`` say what each of
    several outputs is.
    """

    name: str
    numpy: str
    outputs: tuple[tuple[str, str], ...]
    tall: bool = False
    words: tuple[str, ...] = ()
    about: str = ""


_MATRIX_ROWS = (
    MatrixFunction("inv", "np.linalg.inv({})", (("inv", "nn"),), about="inverse of a square matrix"),
    MatrixFunction("det", "np.linalg.det({})", (("det", ""),), about="determinant"),
    MatrixFunction(
        "logdet", "np.linalg.slogdet({})[1]", (("logdet", ""),), about="logarithm of the absolute determinant"
    ),
    MatrixFunction("expm", "_expm({})", (("expm", "nn"),), about="exponential of a square matrix"),
    MatrixFunction(
        "eigh",
        "_eigh({})",
        (("lam", "n"), ("U", "nn")),
        words=("eigenvalues", "eigenvectors"),
        about="lam, U = eigh(C): eigenvalues upwards, and eigenvectors, of the symmetric part of C",
    ),
    MatrixFunction(
        "svd",
        "_svd({})",
        (("U", "mn"), ("s", "n"), ("V", "nn")),
        tall=True,
        words=("leftvectors", "singularvalues", "rightvectors"),
        about="U, s, V = svd(A): A is U @ diag(s) @ V.T; s goes downwards, and A has no more columns than rows",
    ),
)
MATRIX_FUNCTIONS: dict[str, MatrixFunction] = {row.name: row for row in _MATRIX_ROWS}

# Functions of whole arrays: (name, what it gives).
ARRAY_FUNCTIONS = {
    "norm": "Euclidean (Frobenius) norm of an array; norm(x, p) is the p-norm of a vector",
    **{row.name: row.about for row in _MATRIX_ROWS},
    "trace": "sum of the diagonal",
    "matpow": "matrix power with a whole exponent",
    "diag": "diagonal matrix of a vector, or diagonal of a matrix",
    "eye": "identity matrix: eye(n)",
    "zeros": "array of zeros of the given sizes",
    "ones": "array of ones of the given sizes",
    "one_hot": "one_hot(label, n): the unit vector of a label",
}

# Operators that take formulas rather than numbers.
OPERATORS = {
    "d": "d(e, x): derivative of e with respect to an input, a step (held independent) or a bound variable",
    "vjp": "vjp(y, x, g): backward pass of y to x for the cotangent g",
    "stop": "stop(e): e with derivative 0",
    "old": "old(x): in an update, what a state came in with",
    "E": "E(body, x, law): expectation",
    "integral": "integral(body, x, a, b)",
    "delta": "delta(i, j): 1 where the indices agree, else 0",
    "deriv": "deriv(f)(x): derivative of an abstract function",
}

CONSTANTS = {"pi": "π", "oo": "∞"}

BUILT_IN = frozenset(FUNCTIONS) | frozenset(BINDERS) | frozenset(ARRAY_FUNCTIONS) | frozenset(OPERATORS)


@dataclass(frozen=True, slots=True)
class Domain:
    """A set that a real symbol lies in: how to say it, also in a few words, and what it lets one conclude.

    ``sums_to_one`` names the axes over which the values add up to one: ``"last"`` or ``"all"``.
    ``step`` says that differences may leave the set (derivatives are ambient).
    """

    name: str
    latex: str
    about: str
    words: str
    sums_to_one: str = ""
    sign: str = "real"

    @property
    def is_discrete(self) -> bool:
        """Whether the values are isolated numbers, such as those of a mask."""
        return self.latex.startswith(r"\{")


_DOMAINS = (
    Domain("real", r"\mathbb{R}", "any real number", ""),
    Domain("positive", r"(0, \infty)", "greater than 0", "positive", sign="positive"),
    Domain("nonnegative", r"[0, \infty)", "at least 0", "at least 0", sign="nonnegative"),
    Domain("nonzero", r"\mathbb{R} \setminus \{0\}", "not 0", "not 0", sign="nonzero"),
    Domain("unit", r"(0, 1)", "between 0 and 1, both excluded", "between 0 and 1", sign="positive"),
    Domain("unit_ball", r"(-1, 1)", "between -1 and 1, both excluded", "between -1 and 1"),
    Domain(
        "simplex",
        r"\Delta",
        "probabilities along the last axis: positive, adding up to 1",
        "positive, adding up to 1",
        "last",
        "positive",
    ),
    Domain(
        "stochastic",
        r"\Delta",
        "probabilities along the last axis: positive, adding up to 1",
        "positive, rows adding up to 1",
        "last",
        "positive",
    ),
    Domain(
        "joint",
        r"\Delta",
        "a joint distribution: positive, all values adding up to 1",
        "positive, all adding up to 1",
        "all",
        "positive",
    ),
    Domain("one_hot", r"\{0, 1\}", "one-hot: one 1 along the last axis, otherwise 0", "one-hot", "last", "nonnegative"),
    Domain("binary", r"\{0, 1\}", "0 or 1", "0 or 1", sign="nonnegative"),
    Domain(
        "binary_diagonal", r"\{0, 1\}", "0 or 1, with ones on the diagonal", "0 or 1, diagonal 1", sign="nonnegative"
    ),
    Domain("plus_minus_one", r"\{-1, 1\}", "-1 or 1", "-1 or 1", sign="nonzero"),
    Domain("gaussian", r"\mathbb{R}", "a draw from the standard normal distribution", "standard normal"),
    Domain("symmetric", r"\mathbb{S}", "a symmetric matrix", "symmetric"),
    Domain("positive_definite", r"\mathbb{S}_{++}", "a symmetric positive definite matrix", "positive definite"),
    Domain("orthogonal", r"\mathrm{O}", "a matrix with orthonormal columns", "orthonormal columns"),
)
DOMAINS: dict[str, Domain] = {row.name: row for row in _DOMAINS}
