"""What the stand-in for a node asks of the API server: JSON over HTTP, and nothing else.

It has a client of its own, apart from the one of the code under test.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self

import httpx

from cells.providers.types import ClusterAccess

Json = dict[str, Any]
"""A Kubernetes object, as it is sent."""

_ANSWER_SECONDS = 30.0
_WATCH_SECONDS = 60
_AGAIN_SECONDS = 0.2

_STRATEGIC = "application/strategic-merge-patch+json"


class Refused(Exception):
    """The API server's answer was not a success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True)
class Event:
    """One thing that a watch told."""

    kind: str
    """ADDED, MODIFIED or DELETED."""
    object: Json


class KubernetesApi:
    """An API server, as somebody whom it lets in. Paths are such as `/api/v1/nodes`."""

    def __init__(self, access: ClusterAccess) -> None:
        self._http = httpx.AsyncClient(
            base_url=access.cluster.endpoint,
            headers={"Authorization": f"Bearer {access.token}"},
            verify=ssl.create_default_context(cadata=access.cluster.ca),
            timeout=httpx.Timeout(_ANSWER_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=None),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def is_ready(self) -> bool:
        """Tell whether the server has begun to work."""
        return (await self._http.get("/readyz")).is_success

    async def get(self, path: str, **parameters: str) -> Json:
        return _answer(await self._http.get(path, params=parameters))

    async def create(self, path: str, body: Json) -> Json:
        return _answer(await self._http.post(path, json=body))

    async def patch(self, path: str, body: Json, content_type: str = _STRATEGIC) -> Json:
        headers = {"Content-Type": content_type}
        return _answer(await self._http.patch(path, content=json.dumps(body), headers=headers))

    async def delete(self, path: str, options: Json) -> None:
        """Delete an object; one that is gone already is no error."""
        answer = await self._http.request("DELETE", path, json=options)
        if answer.status_code not in {404, 409}:  # 409: it is another by now, of another uid.
            _answer(answer)

    async def watch(self, path: str, **selectors: str) -> AsyncGenerator[Event]:
        """Tell of every object there is, then of every change, for ever and through all breaks.

        An object may be told of as ADDED again, and a deletion during a break is told of as such.
        """
        known: dict[str, Json] = {}
        while True:
            try:
                async with aclosing(self._watch_once(path, selectors, known)) as events:
                    async for event in events:
                        yield event
            except (httpx.HTTPError, Refused):
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _watch_once(
        self, path: str, selectors: Mapping[str, str], known: dict[str, Json]
    ) -> AsyncGenerator[Event]:
        listed = await self.get(path, **selectors)
        present = {item["metadata"]["uid"]: item for item in listed["items"]}
        for uid in known.keys() - present.keys():
            yield Event("DELETED", known.pop(uid))
        for uid, item in present.items():
            known[uid] = item
            yield Event("ADDED", item)
        parameters = {
            **selectors,
            "watch": "true",
            "resourceVersion": listed["metadata"]["resourceVersion"],
            "timeoutSeconds": str(_WATCH_SECONDS),
        }
        timeout = httpx.Timeout(_ANSWER_SECONDS, read=None)
        async with self._http.stream("GET", path, params=parameters, timeout=timeout) as stream:
            if not stream.is_success:
                await stream.aread()
                _answer(stream)
            async for line in stream.aiter_lines():
                told = json.loads(line)
                if told["type"] == "ERROR":  # Such as 410: what we know is too old.
                    return
                item = told["object"]
                if told["type"] == "DELETED":
                    known.pop(item["metadata"]["uid"], None)
                else:
                    known[item["metadata"]["uid"]] = item
                yield Event(told["type"], item)


def _answer(response: httpx.Response) -> Json:
    if not response.is_success:
        try:
            message = response.json()["message"]
        except (ValueError, KeyError, TypeError):
            message = response.text[:500]
        raise Refused(response.status_code, message)
    answer: Json = response.json()
    return answer
