"""Derivatives of programs in index form."""
