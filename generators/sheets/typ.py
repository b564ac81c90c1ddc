"""Cheat sheets in Typst."""

from generators.sheets.contents import Contents


def typ(contents: Contents) -> str:
    raise NotImplementedError
