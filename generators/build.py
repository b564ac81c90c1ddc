"""Everything that is made from a catalogue, in one folder.

Nothing is written if anything is refuted, and all is rendered before the first file is written.
Files that an earlier build wrote and that are no longer made are removed; no other file is ever
touched. The same catalogue gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from generators import markdown
from generators.code import module, module_name
from generators.evidence import gather
from generators.export import dump, evidence_schema, export, export_evidence, schema
from generators.files import write_file
from generators.kept import shown
from generators.sheets import selection, sheet, sheets_of
from generators.sheets.setting import pdf as set_as_pdf
from generators.sheets.setting import setter
from generators.site import site, why_not
from generators.sources import DocumentView, documents
from generators.views import EntryView, views
from kb.errors import CheckFailed, EqkbError
from kb.sheets import WHOLE

if TYPE_CHECKING:
    from kb.catalogue import Catalogue
    from kb.evidence import Evidence

MANIFEST = "manifest.json"


def build(catalogue: Catalogue, out: Path, jobs: int = 1, pdf: bool = False) -> list[str]:
    """Write docs/, cheatsheet/, code/, JSON and its schemas under ``out``; returns what was written.

    With ``pdf`` the sheets are there as PDFs too. ``jobs`` processes make what is not kept yet: evidence, and what is
    shown of entries. Raises CheckFailed if anything is refuted, and EqkbError where a file stands in the way that no
    build wrote, or where PDFs are asked for and nothing can set them.
    """
    if pdf:
        setter()
    evidence = gather(catalogue, list(catalogue), jobs)
    _require_sound(evidence)
    entries = views(catalogue, list(catalogue), evidence, shown(catalogue, list(catalogue), jobs))
    drawn_on = documents(catalogue, entries, evidence)
    out = Path(out)
    files = {name: text.encode() for name, text in rendered(entries, drawn_on, evidence).items()}
    files |= _pdfs(entries) if pdf else {}
    files |= _site(entries, drawn_on, out, jobs)
    earlier = _read_manifest(out)
    _require_room(out, files, earlier)
    _write(out, files, earlier)
    print(f"wrote {len(files)} files to {out}", file=sys.stderr)
    return sorted(files)


def _require_sound(evidence: Mapping[str, Evidence]) -> None:
    """Raise CheckFailed with all that is refuted; what is unknown is said, and shown on its page."""
    refuted = [found for found in evidence.values() if found.verdict == "refuted"]
    if refuted:
        count = f"{len(refuted)} {'entry is' if len(refuted) == 1 else 'entries are'} refuted, so nothing was written"
        raise CheckFailed("\n".join([count, *(found.text() for found in refuted)]))
    for found in evidence.values():
        if found.verdict != "verified":
            print(f"{found.entry}: {found.verdict}; 'eqkb check {found.entry}' says why", file=sys.stderr)


def rendered(
    entries: Sequence[EntryView], drawn_on: Sequence[DocumentView], evidence: Mapping[str, Evidence]
) -> dict[str, str]:
    """All files but those of the site, by their path under the folder."""
    files: dict[str, str] = {}
    for view in entries:
        files |= _of_entry(view)
    files["docs/index.md"] = markdown.index(entries, drawn_on)
    if drawn_on:
        files["docs/sources.md"] = markdown.sources(drawn_on)
    for name, contents in sheets_of(entries).items():
        files[f"cheatsheet/{name}.tex"] = sheet(contents, "tex")
    files[f"cheatsheet/{WHOLE}.md"] = sheet(selection(entries), "md")
    files["catalogue.json"] = export(entries)
    files["catalogue.schema.json"] = schema()
    files["evidence.json"] = export_evidence(evidence)
    files["evidence.schema.json"] = evidence_schema()
    return files


def _pdfs(entries: Sequence[EntryView]) -> dict[str, bytes]:
    """The sheets as PDFs. Raises EqkbError where there is neither TeX nor Typst."""
    return {f"cheatsheet/{name}.pdf": set_as_pdf(contents).content for name, contents in sheets_of(entries).items()}


def _site(entries: Sequence[EntryView], drawn_on: Sequence[DocumentView], out: Path, jobs: int) -> dict[str, bytes]:
    """The files of the site, where it can be built."""
    missing = why_not()
    if missing:
        print(f"the site is not included: {missing}", file=sys.stderr)
        return {}
    return {f"site/{name}": content for name, content in site(entries, drawn_on, out, jobs).items()}


def _of_entry(view: EntryView) -> dict[str, str]:
    return {
        f"docs/{markdown.page_name(view.id)}": markdown.page(view),
        f"code/{module_name(view.id)}": module(view),
    }


# --- the folder --------------------------------------------------------------------------------------


def _read_manifest(out: Path) -> dict[str, str]:
    """What an earlier build wrote, with the digest of each; empty where there was none."""
    try:
        listed = json.loads((out / MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(listed, dict):
        return {}
    return {name: digest for name, digest in listed.items() if isinstance(digest, str) and _is_inside(out, name)}


def _is_inside(out: Path, name: str) -> bool:
    """Whether a path of a manifest leads to a file under the folder, not through links."""
    parts = PurePosixPath(name).parts
    if not parts or "\\" in name or PurePosixPath(name).is_absolute() or ".." in parts or ":" in parts[0]:
        return False
    places = [out.joinpath(*parts[: n + 1]) for n in range(len(parts))]
    return not any(place.is_symlink() for place in places)


def _require_room(out: Path, files: Mapping[str, bytes], earlier: Mapping[str, str]) -> None:
    """Raise EqkbError where a file would be replaced that is not of an earlier build."""
    if out.exists() and not out.is_dir():
        raise EqkbError(f"{out} is a file; name a folder to build in")
    for name in (*files, MANIFEST):
        path = out / name
        if not _is_inside(out, name):
            raise EqkbError(f"{path} leads elsewhere by a link; remove it, or build in another folder")
        taken = path.exists() and name not in earlier and (name != MANIFEST or not _is_manifest(path))
        if taken and not (path.is_file() and path.read_bytes() == files.get(name)):
            raise EqkbError(f"{path} was not written by an earlier build; move it, or build in another folder")


def _is_manifest(path: Path) -> bool:
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_bytes())
        return isinstance(found, dict) and isinstance(found.get("files"), dict)
    return False


def _write(out: Path, files: Mapping[str, bytes], earlier: Mapping[str, str]) -> None:
    """The manifest comes first, so that an interrupted build can be taken up again, and once more at the end."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    out.mkdir(parents=True, exist_ok=True)
    _write_manifest(out, {**earlier, **digests})
    for name, content in files.items():
        path = out / name
        if not _holds(path, content):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, content)
    for name in sorted(set(earlier) - set(files)):
        _remove(out, name, earlier[name])
    _write_manifest(out, digests)


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file says that already; it keeps its age then, which tells other programs that nothing changed."""
    with suppress(OSError):
        return path.is_file() and path.read_bytes() == content
    return False


def _write_manifest(out: Path, digests: Mapping[str, str]) -> None:
    write_file(out / MANIFEST, dump({"files": dict(sorted(digests.items()))}).encode())


def _remove(out: Path, name: str, digest: str) -> None:
    """A file that an earlier build wrote, unless somebody changed it since, and folders that it leaves empty."""
    path = out / name
    with suppress(OSError):
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return
        path.unlink()
        for folder in path.parents:
            if folder == out:
                break
            folder.rmdir()
