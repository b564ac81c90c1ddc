"""Templates: every value that they print is escaped for their format unless they say that it is ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from kb.cache import cache_path

_FOLDER = Path(__file__).parent / "templates"
_MANY = 20_000  # texts; most occur on many pages
Escape = Callable[[str], str]
Filters = Mapping[str, Callable[..., str]]


class Ready(str):
    """Text that already is in the format: a formula, code, or text that was escaped."""

    __slots__ = ()


def render(template: str, escape: Escape, filters: Filters, beside: Path | None = None, **values: Any) -> str:
    """A template filled in. ``escape`` is applied to all that it prints; ``filters`` give Ready text.

    ``beside`` is another folder of templates, which may extend those of here.
    """
    made = _environment(escape, tuple(sorted(filters.items())), beside).get_template(template)
    return made.render(**values)


@cache
def _environment(
    escape: Escape, filters: tuple[tuple[str, Callable[..., str]], ...], beside: Path | None
) -> Environment:
    @lru_cache(_MANY)
    def escaped(text: str) -> Ready:
        return Ready(escape(text))

    def finalize(value: object) -> str:
        return value if isinstance(value, Ready) else escaped(str(value))

    environment = Environment(
        loader=FileSystemLoader([*([beside] if beside else []), _FOLDER], encoding="utf-8"),
        bytecode_cache=_compiled(),
        autoescape=False,  # escaping is for HTML only; `finalize` does it for every format
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters |= {"ready": Ready, **dict(filters)}
    return environment


def _compiled() -> BytecodeCache | None:
    """Where templates are kept as code, by their text; None where nothing can be kept."""
    folder = cache_path("templates")
    with suppress(OSError):
        if folder is not None:
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            return _Compiled(folder)
    return None


class _Compiled(FileSystemBytecodeCache):
    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)
