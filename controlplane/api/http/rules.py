"""Which path and verb stand for which RPC: the service's own annotations, and a tree to find them.

A template is made of literal segments and variables, `/cloud/audit-log-sinks/{spec.name}`; a
variable stands for one whole segment and names a field of the request.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

Target = TypeVar("Target")


@dataclass(frozen=True)
class HttpRule:
    """How one RPC is asked for over HTTP."""

    verb: str
    template: str
    has_body: bool
    """With a body it holds the whole request; without, query parameters do."""

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.template.removeprefix("/").split("/"))

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the fields that the path sets, dotted where they are nested."""
        return tuple(name for name in map(_variable, self.segments) if name is not None)


def http_rule(method: MethodDescriptor) -> HttpRule:
    """Return the method's annotation."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]  # type: ignore[index, var-annotated]  # Ships no types.
    verb: str = rule.WhichOneof("pattern")
    return HttpRule(verb.upper(), getattr(rule, verb), has_body=bool(rule.body))


@dataclass(frozen=True)
class Found(Generic[Target]):
    """What a path leads to."""

    by_verb: Mapping[str, tuple[HttpRule, Target]]
    values: Sequence[str]
    """Those of the rule's variables, in order."""


class Routes(Generic[Target]):
    """Finds the rules of a path; literal segments go before variables."""

    def __init__(self, rules: Iterable[tuple[HttpRule, Target]]) -> None:
        self._root: _Node[Target] = _Node()
        for rule, target in rules:
            node = self._root
            for segment in rule.segments:
                step = None if _variable(segment) is not None else segment
                node = node.after.setdefault(step, _Node())
            assert rule.verb not in node.by_verb, f"{rule.verb} {rule.template} is there twice"
            node.by_verb[rule.verb] = (rule, target)

    def find(self, path: str) -> Found[Target] | None:
        """Return what the decoded path leads to, if it leads anywhere."""
        return _find(self._root, path.removeprefix("/").split("/"), ())


@dataclass
class _Node(Generic[Target]):
    after: "dict[str | None, _Node[Target]]" = field(default_factory=dict)
    """By literal; None is a variable."""
    by_verb: dict[str, tuple[HttpRule, Target]] = field(default_factory=dict)


def _find(
    node: _Node[Target], segments: Sequence[str], values: tuple[str, ...]
) -> Found[Target] | None:
    if not segments:
        return Found(node.by_verb, values) if node.by_verb else None
    first, rest = segments[0], segments[1:]
    literal = node.after.get(first)
    found = _find(literal, rest, values) if literal is not None else None
    variable = node.after.get(None)
    if found is None and variable is not None and first:
        found = _find(variable, rest, (*values, first))
    return found


def _variable(segment: str) -> str | None:
    return segment[1:-1] if segment.startswith("{") else None
