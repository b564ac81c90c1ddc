"""YAML events to nodes, without recursion, refusing what a catalogue never needs.

Nesting, tags, anchors, aliases and sheer size are refused while the events arrive, before
anything is built from them. YAML's own complaints are put into words that say what to do.
"""

from __future__ import annotations

from typing import Any

from kb.errors import CatalogueError, Fault
from kb.source import Mapping, Scalar, Sequence, Source, Text, YamlNode, shorten

MAX_DEPTH = 32
MAX_VALUES = 150_000
MAX_FAULTS = 200
# What YAML's parser says (a part of it, the first that fits counts), and what a person can do about it.
_MEANINGS = {
    "cannot start any token \t": "a tab cannot indent a line in YAML; use spaces",
    "tab character": "a tab cannot indent a line in YAML; use spaces",
    "cannot start any token": "a text cannot begin with this character; put it in quotes",
    "mapping values are not allowed": "a ': ' cannot stand here; check the indentation, "
    "or put a text that contains ': ' in quotes",
    "could not find expected ':'": "the line before this is not 'key: value'; write the ': ', or check the indentation",
    "escape character": "this escape is unknown in double quotes; use single quotes for a text with backslashes",
    "escape code": "this escape names no character; use single quotes for a text with backslashes",
    "hexdecimal": "this escape is unknown in double quotes; use single quotes for a text with backslashes",
    "hexadecimal": "this escape is unknown in double quotes; use single quotes for a text with backslashes",
    "found unexpected end of stream": "the quotes opened here are never closed; close them",
    "expected node content": "a value is missing here, or an empty item; write it, or put text with brackets in quotes",
    "',' or ']'": "a list '[...]' is not closed, or lacks a ','; put a text that contains brackets in quotes",
    "',' or '}'": "a mapping '{...}' is not closed, or lacks a ','; put a text that contains brackets in quotes",
    "block sequence entries are not allowed": "a list item '- ' cannot stand here; begin it on a line of its own",
    "block collection": "the indentation does not fit the lines above; align it, or close the list before it",
    "block mapping": "the indentation does not fit the lines above; align the keys of one mapping",
    "mapping keys are not allowed": "a '? ' cannot stand here; put a text that begins with '?' in quotes",
    "alias": "aliases (*name) are not allowed; put a text that begins with '*' in quotes",
    "anchor": "anchors (&name) are not allowed; put a text that begins with '&' in quotes",
    "tag": "tags (!name) are not allowed; put a text that begins with '!' in quotes",
    "directive": "a line cannot begin with '%'; put the text in quotes",
    "block scalar": "nothing may follow '|' or '>' here; begin the text on the next line, or put it in quotes",
    "document indicator": "a line '---' or '...' stands inside a text; indent it",
    "<document start>": "this does not belong to the mapping above; check the indentation of this line",
}


class Composer:
    """Builds the nodes of one document, with a stack of the open ones."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.open: list[Sequence | Mapping] = []
        self.values = 0
        self.documents = 0
        self.root: YamlNode | None = None
        self.faults: list[Fault] = []

    def compose(self) -> Source:
        import yaml

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.text.characters)
        try:
            while True:
                event = loader.get_event()
                if event is None or isinstance(event, yaml.StreamEndEvent):
                    break
                self.take(event, yaml)
        except yaml.MarkedYAMLError as error:
            raise self.explain(error) from None
        except (yaml.YAMLError, ValueError, OverflowError):
            raise self.text.refuse("this is not YAML: an escape in double quotes names no character", 0) from None
        finally:
            loader.dispose()
        if self.root is None or (isinstance(self.root, Scalar) and not self.root.value):
            raise self.text.refuse("the file is empty; write entries as 'id:' and their fields below", 0)
        if not isinstance(self.root, Mapping):
            what = "a list" if isinstance(self.root, Sequence) else "text"
            raise self.text.refuse(f"this is {what}; a catalogue is a mapping of ids to entries", self.root.start)
        return Source(self.text, self.root, tuple(self.faults))

    def take(self, event: Any, yaml: Any) -> None:
        start = event.start_mark.index
        if isinstance(event, yaml.ScalarEvent):
            self.check(event, start)
            self.add(Scalar(start, event.end_mark.index, event.value, event.style or ""))
        elif isinstance(event, yaml.MappingStartEvent):
            self.check(event, start)
            self.enter(Mapping(start))
        elif isinstance(event, yaml.SequenceStartEvent):
            self.check(event, start)
            self.enter(Sequence(start))
        elif isinstance(event, yaml.CollectionEndEvent):
            self.open.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise self.refuse(
                "aliases (*name) are not allowed; write it out, or put a text that begins with '*' in quotes", start
            )
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self.refuse("a second YAML document begins here; one file holds one catalogue", start)
            if event.version or event.tags:
                raise self.refuse("YAML directives (%...) are not allowed; remove the line", start)

    def check(self, event: Any, start: int) -> None:
        """Refuse tags and anchors, and too many values."""
        self.values += 1
        if event.anchor is not None:
            raise self.refuse(
                "anchors (&name) are not allowed; remove it, or put a text that begins with '&' in quotes", start
            )
        if event.tag is not None:
            raise self.refuse(
                "tags (!name) are not allowed; remove it, or put a text that begins with '!' in quotes", start
            )
        if self.values > MAX_VALUES:
            raise self.refuse(
                f"the file has more than {MAX_VALUES:,} values; split it into several catalogue files", start
            )

    def enter(self, node: Sequence | Mapping) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise self.refuse(
                f"nested deeper than {MAX_DEPTH} levels; put a text that contains brackets in quotes", node.start
            )
        self.add(node)
        self.open.append(node)

    def add(self, node: YamlNode) -> None:
        parent = self.open[-1] if self.open else None
        if parent is None:
            self.root = node
        elif isinstance(parent, Sequence):
            parent.items.append(node)
        elif not parent.waits:
            if not isinstance(node, Scalar):
                raise self.refuse(
                    "a key is a word, not a list or a mapping; put a text that contains brackets in quotes", node.start
                )
            parent.key, parent.waits, parent.repeated = node.value, True, node.value in parent.items
            if parent.repeated:
                self.repeat(parent, node)
            else:
                parent.keys[node.value] = node.start
        else:
            if not parent.repeated:
                parent.items[parent.key] = node
            parent.waits = False

    def repeat(self, parent: Mapping, key: Scalar) -> None:
        first = self.text.location(parent.keys[key.value])
        message = (
            f"the key {shorten(key.value)} is written twice, first at {first.file}:{first.line}:{first.column}; "
            "remove or rename one of them"
        )
        self.faults.append(Fault(message, location=self.text.location(key.start, self.path())))
        if len(self.faults) >= MAX_FAULTS:
            raise CatalogueError(self.faults)

    def path(self) -> str:
        """The path of what is being read."""
        path = ""
        for node in self.open:
            if isinstance(node, Mapping):
                path += f".{node.key if len(node.key) <= 60 else node.key[:60]}" if node.key else ""
            elif node is not self.open[-1]:
                path += f"[{len(node.items) - 1}]"
        return path.removeprefix(".")

    def refuse(self, message: str, index: int) -> CatalogueError:
        return CatalogueError([*self.faults, Fault(message, location=self.text.location(index, self.path()))])

    def explain(self, error: Any) -> CatalogueError:
        """YAML's own complaint in words that say what to do."""
        problem, context = error.problem or "", error.context or ""
        mark = error.problem_mark or error.context_mark
        index = mark.index if mark else 0
        if "end of stream" in problem and "quoted" in context and error.context_mark:
            index = error.context_mark.index
        characters = self.text.characters
        character = characters[index : index + 1]
        if any(words in problem for words in ("expected key", "'-' indicator", "<block end>")):
            line = characters[characters.rfind("\n", 0, index) + 1 : index]
            if line.strip() and character not in ("", "\n"):
                return self.refuse(
                    "more follows a text in quotes, or a list or mapping; put all of it in quotes", index
                )
        for words, meaning in _MEANINGS.items():
            if words in f"{context} {problem} {character}":
                return self.refuse(meaning, index)
        return self.refuse(f"this is not YAML: {problem}", index)
