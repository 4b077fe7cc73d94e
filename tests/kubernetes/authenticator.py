"""A webhook by which an API server asks whose a bearer token is, as EKS and GKE have."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import yaml

from controlplane.local.ports import LOOPBACK, free_port
from controlplane.local.waiting import until


@dataclass(frozen=True)
class User:
    """Whom a token belongs to, as the rules of RBAC name them."""

    name: str
    groups: tuple[str, ...] = ()


Authenticator = Callable[[str], Awaitable[User | None]]
"""Says whose a bearer token is; None for nobody's."""

_START_SECONDS = 30


@contextlib.asynccontextmanager
async def asked_by_webhook(authenticator: Authenticator, file: Path) -> AsyncIterator[None]:
    """Answer TokenReviews until the block ends; `file` is written for an API server to read."""
    port = free_port()
    cluster = {"name": "authenticator", "cluster": {"server": f"http://{LOOPBACK}:{port}/"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": "apiserver"}],
        "contexts": [
            {"name": "webhook", "context": {"cluster": "authenticator", "user": "apiserver"}}
        ],
        "current-context": "webhook",
    }
    await asyncio.to_thread(file.write_text, yaml.safe_dump(config))
    server = _Server(
        uvicorn.Config(
            _application(authenticator),
            host=LOOPBACK,
            port=port,
            log_config=None,
            lifespan="off",
            loop="asyncio",
        )
    )
    serving = asyncio.create_task(server.serve())

    async def started_or_ended() -> bool:
        return server.started or serving.done()

    try:
        await until(started_or_ended, "the token webhook", _START_SECONDS)
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """One within tests, whose signals are not its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def _application(authenticator: Authenticator) -> Any:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        user = await authenticator(json.loads(body)["spec"]["token"])
        status: dict[str, Any] = {"authenticated": user is not None}
        if user is not None:
            status["user"] = {"username": user.name, "groups": list(user.groups)}
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "status": status,
        }
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(review).encode()})

    return answer
