"""What Prometheus scrapes: the calls of an account, and the state of its namespaces.

Series name tenants, so an account sees its own and nobody else's, and needs a key to see them.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from controlplane.resource import ConditionStatus
from controlplane.store.monitoring import MonitoredNamespace, Monitoring

MOST_ACCOUNTS = 1000
"""Beyond these, the counters of the account that called least recently begin anew."""
MOST_NAMESPACES = 2000
"""Of an account: how many are shown one by one."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class AccountMetrics:
    """The calls of one account that this process answered."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "controlplane_api_calls",
            "Calls answered, by RPC and gRPC status code.",
            ("rpc", "code"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "controlplane_api_call_duration_seconds",
            "How long calls took.",
            ("rpc",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.limited = Counter(
            "controlplane_api_rate_limited",
            "Calls refused for coming too fast, by the name of the limit.",
            ("limit",),
            registry=self.registry,
        )


@dataclass(frozen=True)
class CallMetrics:
    """Counts calls, for each account apart. Only callers with a valid key are counted."""

    _accounts: OrderedDict[str, AccountMetrics] = field(default_factory=OrderedDict)

    def of(self, account: str) -> AccountMetrics:
        known = self._accounts.get(account)
        if known is None:
            known = self._accounts[account] = AccountMetrics()
            if len(self._accounts) > MOST_ACCOUNTS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(account)
        return known


@dataclass(frozen=True)
class Exposition:
    """Writes everything an account may see in Prometheus' text format, read as it is scraped."""

    calls: CallMetrics
    monitoring: Monitoring
    engine_answers: Callable[[], Awaitable[bool]]

    async def text(self, account: str) -> bytes:
        state = CollectorRegistry()
        state.register(_Collected([family async for family in self._families(account)]))
        return generate_latest(self.calls.of(account).registry) + generate_latest(state)

    async def _families(self, account: str) -> AsyncIterator[Metric]:
        lives = await self.monitoring.namespaces_by_life(account)
        yield _gauge(
            "controlplane_namespaces",
            "Namespaces of the account, by their state.",
            ("state",),
            (((life,), count) for life, count in lives.items()),
        )
        namespaces = await self.monitoring.namespaces(account, limit=MOST_NAMESPACES)
        yield _gauge(
            "controlplane_namespaces_not_shown",
            "Namespaces of the account beyond those that have series of their own.",
            (),
            [((), max(0, sum(lives.values()) - len(namespaces)))],
        )
        yield _gauge(
            "controlplane_certificate_expires_timestamp_seconds",
            "When a certificate expires: the endpoint's own, or the first of the client CAs.",
            ("namespace", "certificate"),
            _expiries(namespaces),
        )
        yield _gauge(
            "controlplane_namespace_condition",
            "1 for the status that a condition of the namespace has, 0 for the others.",
            ("namespace", "type", "status"),
            _conditions(namespaces),
        )
        operations = await self.monitoring.open_operations(account)
        yield _gauge(
            "controlplane_operations_open",
            "Operations of the account that are not finished, by their RPC.",
            ("type",),
            (((kind,), count) for kind, count in operations.items()),
        )
        # Without its database the control plane knows nobody's key: the scrape fails with 503.
        yield _gauge("controlplane_database_up", "Whether the read model answers.", (), [((), 1)])
        yield _gauge(
            "controlplane_engine_up",
            "Whether the engine answers: without it, changes wait.",
            (),
            [((), await self.engine_answers())],
        )


class _Collected(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, what: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, what, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _expiries(namespaces: Iterable[MonitoredNamespace]) -> Iterator[tuple[tuple[str, ...], float]]:
    for namespace in namespaces:
        moments: tuple[tuple[str, datetime | None], ...] = (
            ("server", namespace.server_certificate_expires_at),
            ("client_ca", namespace.client_ca_expires_at),
        )
        for certificate, moment in moments:
            if moment is not None:
                yield (namespace.id, certificate), moment.timestamp()


def _conditions(
    namespaces: Iterable[MonitoredNamespace],
) -> Iterator[tuple[tuple[str, ...], float]]:
    for namespace in namespaces:
        for kind, actual in namespace.conditions.items():
            for status in ConditionStatus:
                yield (namespace.id, kind, status.value), float(status.value == actual)
