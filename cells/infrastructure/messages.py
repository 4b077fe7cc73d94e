"""What Terraform says while it works (`-json`), read once: progress, and what went wrong."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

MODULE = "module.cell."
"""Everything of a cell is in one module of its root."""

_DOING = {"create": "creating", "update": "changing", "delete": "deleting"}
_DONE = {"create": "created", "update": "changed", "delete": "deleted"}


@dataclass(frozen=True)
class Diagnostic:
    """An error that Terraform or a provider reports."""

    summary: str
    detail: str = ""
    address: str = ""
    """Of the resource it is about, if it is about one."""
    file: str = ""
    """Where in the module it arose, `file:line`, if it arose there."""

    @property
    def text(self) -> str:
        """All of it, in one line."""
        said = self.summary if self.detail in self.summary else f"{self.summary}: {self.detail}"
        where = shortened(self.address) or self.file
        return " ".join(f"{where}: {said}".split()) if where else " ".join(said.split())


@dataclass(frozen=True)
class Message:
    """One line of Terraform's."""

    progress: str = ""
    """For people who wait; empty when it says nothing to them."""
    error: Diagnostic | None = None
    started: str = ""
    """The address of a resource that is being made."""
    made: tuple[str, str] | None = None
    """Address and id of a resource that was made."""
    failed: str = ""
    """The address of a resource of which nothing came."""


def message(line: str) -> Message:
    """Return what a line says; a line that is no JSON says nothing."""
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return Message()
    match said.get("type"):
        case "diagnostic":
            return _diagnostic(said["diagnostic"])
        case "apply_start" | "apply_progress" | "apply_complete" | "apply_errored" as kind:
            # Reading data is no news.
            return _work(kind, said["hook"]) if said["hook"]["action"] in _DOING else Message()
        case _:
            return Message()


def shortened(address: str) -> str:
    """Return an address as people know it: that all is in the cell's module goes without saying."""
    return address.removeprefix(MODULE)


def _diagnostic(said: dict[str, Any]) -> Message:
    if said.get("severity") != "error":
        return Message()
    at = said.get("range")
    return Message(
        error=Diagnostic(
            summary=said.get("summary", ""),
            detail=said.get("detail", ""),
            address=said.get("address", ""),
            file=f"{at['filename']}:{at['start']['line']}" if at else "",
        )
    )


def _work(kind: str, hook: dict[str, Any]) -> Message:
    address, action = hook["resource"]["addr"], hook["action"]
    name, since = shortened(address), _duration(hook.get("elapsed_seconds", 0))
    doing, done = _DOING[action], _DONE[action]
    match kind:
        case "apply_start":
            return Message(
                progress=f"{name}: {doing}", started=address if action == "create" else ""
            )
        case "apply_progress":
            return Message(progress=f"{name}: {doing}, {since}")
        case "apply_complete":
            id = hook.get("id_value", "") if action == "create" else ""
            return Message(
                progress=f"{name}: {done} after {since}", made=(address, id) if id else None
            )
        case _:
            return Message(progress=f"{name}: failed after {since}", failed=address)


def _duration(seconds: float) -> str:
    whole = timedelta(seconds=round(seconds))
    minutes, rest = divmod(int(whole.total_seconds()), 60)
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
