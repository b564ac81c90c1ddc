"""The command ``eqkb``; ``python -m kb`` is the same.

Data goes to stdout and messages to stderr. Exit codes: 0 all is well, 1 a check failed, 2 wrong
usage, a malformed catalogue or something not differentiable, 3 no such entry or symbol, 130
interrupted. Set EQKB_DEBUG=1 for the traceback of an error of eqkb's own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from kb.errors import CatalogueError, EqkbError

INTERRUPTED = 130
_REPORT = "please report it at the project's issue tracker; EQKB_DEBUG=1 shows where it happened"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("eqkb: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(given: list[str]) -> int:
    from kb.cli.arguments import parse_arguments
    from kb.cli.terminal import force_colour

    try:
        options = parse_arguments(given)
        if isinstance(options, int):
            return options
        _use_utf8()
        force_colour(getattr(options, "color", None))
        code: int = options.run(options)
        return code
    except CatalogueError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return error.exit_code
    except EqkbError as error:
        print(f"eqkb: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except RecursionError:
        print("eqkb: the formula is nested too deeply; split it into steps", file=sys.stderr)
        return 2
    except MemoryError:
        print("eqkb: the formula is too large for the memory", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"eqkb: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except Exception as error:
        if os.environ.get("EQKB_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        print(f"eqkb: an error of eqkb itself ({what}); {_REPORT}", file=sys.stderr)
        return 2


def _use_utf8() -> None:
    """Formulas hold Greek letters, whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        encoding = getattr(stream, "encoding", None) or ""
        if encoding.lower().replace("-", "") != "utf8" and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
