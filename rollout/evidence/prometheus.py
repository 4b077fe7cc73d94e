"""Prometheus' HTTP API: the numbers that a query has over a range of time."""

import contextlib
import json
import math
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import httpx
from pydantic import BaseModel, ValidationError

from controlplane.secrets.port import PROMETHEUS_TOKEN, SecretStore
from rollout.evidence.ports import NoEvidence

MOST_STEPS = 10_000
"""Prometheus answers 11,000 points for one series."""

_ANSWER_SECONDS = 20.0
_CONNECTIONS = 8
_MOST_BYTES = 8 << 20
_TOLD_CHARACTERS = 200
_LONGEST_STEP = timedelta(minutes=5)


class Sample(NamedTuple):
    at: datetime
    value: float
    """Always finite."""


@dataclass(frozen=True)
class Prometheus:
    """Where a Prometheus is, or anything that speaks its API, and how it is asked."""

    url: str
    """Its base, such as https://prometheus.example.com or …/prometheus behind a prefix."""
    secrets: SecretStore
    """Where its bearer token is, under `PROMETHEUS_TOKEN`, if it wants one."""
    ca_file: Path | None = None
    """PEM: who signs its certificate, where that is not a public authority."""
    resolution: timedelta = timedelta(seconds=15)
    """How often it scrapes cells: queries take no finer steps."""

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator["Connection"]:
        token = await self.secrets.get(PROMETHEUS_TOKEN)
        headers = {"Authorization": f"Bearer {token.decode().strip()}"} if token else {}
        try:
            trusted = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else True
        except OSError as error:
            raise NoEvidence(
                f"the authorities of Prometheus cannot be read from {self.ca_file}: {error}: "
                "correct CONTROLPLANE_PROMETHEUS_CA_FILE"
            ) from error
        async with httpx.AsyncClient(
            headers=headers,
            verify=trusted,
            timeout=httpx.Timeout(_ANSWER_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=_CONNECTIONS),
            trust_env=False,
        ) as client:
            yield Connection(client, self.url.rstrip("/"))


@dataclass(frozen=True)
class Connection:
    _client: httpx.AsyncClient
    _url: str

    async def range(
        self, query: str, first: datetime, last: datetime, step: timedelta
    ) -> list[Sample]:
        """Return the query's finite values at `first`, every `step` later, up to `last`.

        Raise `NoEvidence` if there are none, if there is more than one series, or if Prometheus
        does not answer as it should.
        """
        parameters = {
            "query": query,
            "start": f"{first.timestamp():.3f}",
            "end": f"{last.timestamp():.3f}",
            "step": f"{step.total_seconds():g}",
            # Thanos leaves out what it cannot reach, unless told that this is no answer.
            "partial_response": "false",
        }
        status, body = await self._get("/api/v1/query_range", parameters)
        if status != httpx.codes.OK:
            raise NoEvidence(self._refusal(status, body))
        return _finite(_only_series(body, self._url))

    async def _get(self, path: str, parameters: dict[str, str]) -> tuple[int, bytes]:
        body = bytearray()
        try:
            async with self._client.stream("GET", self._url + path, params=parameters) as answer:
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        raise NoEvidence(
                            f"the query returns more than {_MOST_BYTES >> 20} MiB: let it return "
                            "one number per cell, with sum(…) or max(…)"
                        )
        except httpx.TimeoutException as error:
            raise NoEvidence(
                f"Prometheus at {self._url} does not answer within {_ANSWER_SECONDS:g} s: see "
                "whether it is overloaded"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise NoEvidence(
                f"Prometheus at {self._url} cannot be asked "
                f"({str(error) or type(error).__name__}): see whether it runs, and whether "
                "CONTROLPLANE_PROMETHEUS_URL is right"
            ) from error
        return answer.status_code, bytes(body)

    def _refusal(self, status: int, body: bytes) -> str:
        told = _told(body)
        match status:
            case 400:
                return f"Prometheus does not understand the query: {told}: correct the gate's query"
            case 401 | 403:
                return (
                    f"Prometheus at {self._url} refuses us ({status}): put a bearer token that may "
                    f"query into the secret store as {PROMETHEUS_TOKEN}"
                )
            case 404 | 405:
                return (
                    f"{self._url} is not the base of a Prometheus API ({status} for "
                    "/api/v1/query_range): correct CONTROLPLANE_PROMETHEUS_URL"
                )
            case 422:
                return (
                    f"Prometheus cannot evaluate the query: {told}: make the gate's query cheaper"
                )
            case 429 | 503:
                return (
                    f"Prometheus at {self._url} is overloaded or starting ({status}: {told}): it "
                    "is asked again at the next look"
                )
            case _:
                return (
                    f"Prometheus at {self._url} answers {status}: {told}: see its log, and whether "
                    "CONTROLPLANE_PROMETHEUS_URL is right"
                )


def quoted(value: str) -> str:
    """Return a value as it is written inside a PromQL string, in whichever quotes."""
    return re.sub(r"[^\w.:/@ -]", lambda found: f"\\U{ord(found[0]):08x}", value, flags=re.ASCII)


def steps(
    since: datetime, until: datetime, resolution: timedelta, most: int = 60
) -> tuple[int, timedelta]:
    """Return how many steps, how long, divide a window: no finer than the resolution, no coarser
    than needed for `most` of them, five minutes at the longest unless Prometheus takes no more."""
    window = max(until - since, timedelta(0))
    step = max(min(window / most, _LONGEST_STEP), resolution, window / MOST_STEPS)
    return math.ceil(window / step), step


class _Series(BaseModel):
    metric: dict[str, str]
    values: list[tuple[float, float]]


class _Data(BaseModel):
    resultType: Literal["matrix"]
    result: list[_Series]


class _Answer(BaseModel):
    status: Literal["success"]
    data: _Data


def _only_series(body: bytes, url: str) -> _Series:
    try:
        found = _Answer.model_validate_json(body).data.result
    except ValidationError as error:
        raise NoEvidence(
            f"{url} does not answer as a Prometheus does ({_told(body)}): correct "
            "CONTROLPLANE_PROMETHEUS_URL"
        ) from error
    if not found:
        raise NoEvidence(
            "the query finds nothing: see whether Prometheus scrapes the cell, and whether its "
            'series have the label that the query names, such as cell="<the cell\'s id>"'
        )
    if len(found) > 1:
        labels = " and ".join(str(series.metric) for series in found[:2])
        raise NoEvidence(
            f"the query returns {len(found)} series for one cell ({labels}…): let it return one, "
            "with sum(…) or max(…)"
        )
    return found[0]


def _finite(series: _Series) -> list[Sample]:
    samples = [
        Sample(datetime.fromtimestamp(at, UTC), value)
        for at, value in series.values
        if math.isfinite(value)
    ]
    if not samples:
        raise NoEvidence(
            "the query finds no number, only NaN or Inf, as a share of nothing is: nothing happens "
            "in the cell that it could measure"
        )
    return samples


def _told(body: bytes) -> str:
    """Return what an answer that is no success says, in short."""
    text = body[: 16 * _TOLD_CHARACTERS].decode(errors="replace")
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        text = str(json.loads(body).get("error") or text)
    text = " ".join(text.split())
    return text[:_TOLD_CHARACTERS] or "nothing"
