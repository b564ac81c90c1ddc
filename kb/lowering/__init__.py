"""NumPy source for programs in index form: whole-array code that needs nothing of eqkb."""

from kb.lowering.module import FORMS, compile_source, function_source

__all__ = ["FORMS", "compile_source", "function_source"]
