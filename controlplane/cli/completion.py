"""What the shell offers after TAB: names that only the control plane knows.

Called while somebody types: quick, and silent whatever goes wrong. Hence the APIs over HTTP, by the
standard library: their clients take longer to import than there is patience for.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import typer

from controlplane.cli.connection import Connection, resolve

PATIENCE = 1.0
"""Seconds to wait for the API."""
_PAGE = "pageSize=1000"  # As many as the API gives at once.
_FLEET_PAGE = "page_size=1000"
_FLEET = "fleet/v1"

Described = list[tuple[str, str]]
"""What can be typed, and what help there is on it."""


def complete_namespace(ctx: typer.Context, incomplete: str) -> Described:
    """Return the namespaces: short names, or full ids once a dot was typed."""
    found = _ask(ctx, f"namespaces?{_PAGE}", "namespaces")
    full = "." in incomplete
    named = [(each["namespace"] if full else each["spec"]["name"], each) for each in found]
    return [
        (name, namespace.get("activeRegion", ""))
        for name, namespace in named
        if name.startswith(incomplete)
    ]


def complete_region(ctx: typer.Context, incomplete: str) -> Described:
    """Return the regions in which there are cells."""
    return [
        (region["id"], region.get("location", ""))
        for region in _ask(ctx, "regions", "regions")
        if region["id"].startswith(incomplete)
    ]


def complete_api_key(ctx: typer.Context, incomplete: str) -> Described:
    """Return the ids of API keys, with what they are called."""
    return [
        (key["id"], key["spec"].get("displayName", ""))
        for key in _ask(ctx, f"api-keys?{_PAGE}", "apiKeys")
        if key["id"].startswith(incomplete)
    ]


def complete_service_account(ctx: typer.Context, incomplete: str) -> Described:
    """Return the names of service accounts."""
    return [
        (account["spec"]["name"], account["spec"].get("description", ""))
        for account in _ask(ctx, f"service-accounts?{_PAGE}", "serviceAccount")
        if account["spec"]["name"].startswith(incomplete)
    ]


def complete_release(ctx: typer.Context, incomplete: str) -> Described:
    """Return the names of releases, with the server versions they bring."""
    return [
        (details["release"]["name"], details["release"].get("server_version", ""))
        for details in _ask(ctx, f"releases?{_FLEET_PAGE}", "releases", api=_FLEET)
        if details["release"]["name"].startswith(incomplete)
    ]


def complete_rollout(ctx: typer.Context, incomplete: str) -> Described:
    """Return the ids of rollouts, with how they are."""
    return [
        (rollout["id"], rollout.get("outcome") or rollout.get("phase", ""))
        for rollout in _ask(ctx, f"rollouts?{_FLEET_PAGE}", "rollouts", api=_FLEET)
        if rollout["id"].startswith(incomplete)
    ]


def complete_cell(ctx: typer.Context, incomplete: str) -> Described:
    """Return the ids of cells, with their rings."""
    return [
        (cell["id"], f"ring {cell['spec']['ring']}")
        for cell in _ask(ctx, "cells", "", api=_FLEET)
        if cell["id"].startswith(incomplete)
    ]


def complete_life(ctx: typer.Context, incomplete: str) -> Described:
    """Return the ids of cells that were built in clouds, with where their lives are."""
    return [
        (life["blueprint"]["cell"], life["phase"])
        for life in _ask(ctx, "cell-lives", "", api=_FLEET)
        if life["blueprint"]["cell"].startswith(incomplete)
    ]


def _ask(ctx: typer.Context, path: str, field: str, api: str = "cloud") -> list[dict[str, Any]]:
    """Return the first page of a list; empty if that fails. Without a field, the answer is one."""
    given: Mapping[str, str | None] = ctx.params
    try:
        connection = asyncio.run(
            resolve(given.get("address"), given.get("url"), given.get("api_key"))
        )
        answer = _get(connection, f"/{api}/{path}")
        found: list[dict[str, Any]] = answer.get(field, []) if field else answer
        return found
    except Exception:  # noqa: BLE001 - anything said now would land in the line being typed
        return []


def _get(connection: Connection, path: str) -> Any:
    where = urlsplit(connection.url or "")
    if where.hostname is None:
        return {}
    http = (
        HTTPConnection(where.hostname, where.port, timeout=PATIENCE)
        if where.scheme == "http"
        else HTTPSConnection(
            where.hostname,
            where.port,
            timeout=PATIENCE,
            context=ssl.create_default_context(cafile=connection.ca_file),
        )
    )
    try:
        http.request("GET", path, headers={"authorization": f"Bearer {connection.api_key}"})
        return json.load(http.getresponse())
    finally:
        http.close()
