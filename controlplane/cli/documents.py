"""Files that people write, YAML or JSON, read with messages that name file and place."""

import difflib
import sys
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from controlplane.cli.failures import UsageError

STDIN = Path("-")


def read_documents(file: Path) -> Iterator[object]:
    """Yield the file's documents, empty ones left out; raise UsageError if it cannot be read."""
    try:
        text = sys.stdin.read() if file == STDIN else file.read_text()
        # A subclass of the safe loader: it makes plain values only.
        yield from (found for found in yaml.load_all(text, _Loader) if found is not None)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{called(file)} is neither YAML nor JSON: {error}") from error


def called(file: Path) -> str:
    """Return what a file is called in messages."""
    return "standard input" if file == STDIN else str(file)


def kind(value: object) -> str:
    """Return what a value is, for messages."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return f"{value!r}"


def nearest(key: str, valid: Iterable[str]) -> str:
    """Return the remedy for a key that means nothing: the one that was meant, or all there are."""
    by_plain = {_plain(name): name for name in valid}
    close = difflib.get_close_matches(_plain(key), by_plain, n=1)
    if close:
        return f"Did you mean {by_plain[close[0]]}?"
    return f"What can be said there: {', '.join(sorted(by_plain.values()))}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


class _Loader(yaml.SafeLoader):
    """YAML in which a key may be written once: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for (key_node, _), key in zip(node.value, keys, strict=True):
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"{key!r} is written twice", problem_mark=key_node.start_mark
                )
        return super().construct_mapping(node, deep)
