"""Ready-made gates over the metrics of Temporal's servers.

Names and labels are those of the servers' own Prometheus reporter (1.30 to 1.32): counters without
`_total`, seconds, label values with `_` for whatever is no letter or digit. Prometheus has to give
the series of each cell the label `cell`.

A counter of errors does not exist before the first error, so each of them is `or`ed with nought
times something that a server always counts: it is nought while the server is seen, and nothing when
it is not. Rates are over five minutes, which is how long a gate takes to forget.
"""

from rollout.gates import Gate, GateKind, default_gates

_OF = 'cell="$cell"'
_FRONTEND = f'{_OF},service_name="frontend"'

# Calls that wait for somebody else, by design.
_PATIENT = (
    "Poll.*|GetWorkflowExecutionHistory|QueryWorkflow|UpdateWorkflowExecution|"
    "ExecuteMultiOperation|.*Stream.*"
)
# What callers do wrong, or are told to wait for.
_CALLERS_ERRORS = (
    ".*(NotFound|InvalidArgument|AlreadyStarted|AlreadyExists|NamespaceNotActive|"
    "NamespaceInvalidState|ResourceExhausted|PermissionDenied|FailedPrecondition|QueryFailed|"
    "WorkflowNotReady|Canceled|NewerBuildExists|MultiOperation.*)"
)
# What optimistic writing runs into all day.
_EXPECTED_OF_STORES = ".*(NotFound|ConditionFailedError|AlreadyExist.*)"


def standard_gates(prometheus: bool) -> tuple[Gate, ...]:
    """Return gates for any fleet of Temporal servers: health and canary, which need nothing, and
    if there is a Prometheus what its metrics say."""
    return (*default_gates(), *(_METRICS if prometheus else ()))


def _rate(metric: str, labels: str) -> str:
    return f"sum(rate({metric}{{{labels}}}[5m]))"


def _share(errors: str, of: str) -> str:
    return f"({errors} or 0 * {of}) / {of}"


def _quantile(quantile: float, metric: str, labels: str) -> str:
    return f"histogram_quantile({quantile}, sum by (le) (rate({metric}_bucket{{{labels}}}[5m])))"


def _mean(metric: str, labels: str) -> str:
    return f"{_rate(f'{metric}_sum', labels)} / {_rate(f'{metric}_count', labels)}"


_SHARDS = f'sum(numshards_gauge{{{_OF},service_name="history"}})'
_API_LATENCY = f'{_FRONTEND},operation!~"{_PATIENT}"'
_API_REQUESTS = _rate("service_requests", _FRONTEND)
_API_ERRORS = _share(
    _rate("service_error_with_type", f'{_FRONTEND},error_type!~"{_CALLERS_ERRORS}"'),
    _API_REQUESTS,
)
_STORE_ERRORS = _share(
    _rate("persistence_error_with_type", f'{_OF},error_type!~"{_EXPECTED_OF_STORES}"'),
    _rate("persistence_requests", _OF),
)
_OWNERSHIP_LOST = (
    f"{_rate('service_errors_shard_ownership_lost', _OF)} or 0 * {_rate('service_requests', _OF)}"
)
# Allocations are counted from a process's start: less of them than before is another process.
_RESTARTS = f"max(resets(memory_mallocs{{{_OF}}}[15m]))"
_MEMORY = f"avg(avg_over_time(memory_heapinuse{{{_OF}}}[5m]))"

REPLICATION_LAG = Gate(
    "replication lag",
    GateKind.REPLICATION_LAG,
    f"{_quantile(0.99, 'replication_latency', _OF)} >= 0 or 0 * {_rate('service_requests', _OF)}",
    below=30.0,
)
"""Seconds until the cell has applied what its replicas wrote; nought when they write nothing."""

_METRICS = (
    # How many shards there are never changes, so the median of a day is that number.
    Gate(
        "shards owned",
        GateKind.PROMETHEUS,
        f"{_SHARDS} / quantile_over_time(0.5, {_SHARDS}[1d:30s])",
        above=0.99,
        below=1.01,
    ),
    Gate("API errors", GateKind.PROMETHEUS, _API_ERRORS, below=0.01),
    Gate(
        "API latency",
        GateKind.PROMETHEUS,
        _quantile(0.99, "service_latency", _API_LATENCY),
        below=2.0,
    ),
    Gate("store errors", GateKind.PROMETHEUS, _STORE_ERRORS, below=0.01),
    Gate(
        "store latency",
        GateKind.PROMETHEUS,
        _quantile(0.99, "persistence_latency", _OF),
        below=1.0,
    ),
    Gate("shard ownership lost", GateKind.PROMETHEUS, _OWNERSHIP_LOST, below=0.2),
    Gate("restarts", GateKind.PROMETHEUS, _RESTARTS, below=3.0),
    Gate("API errors compared", GateKind.COMPARISON, _API_ERRORS, floor=0.0005, tolerance=0.5),
    Gate(
        "API latency compared",
        GateKind.COMPARISON,
        _mean("service_latency", _API_LATENCY),
        floor=0.005,
    ),
    Gate(
        "store latency compared",
        GateKind.COMPARISON,
        _mean("persistence_latency", _OF),
        floor=0.002,
    ),
    Gate("memory compared", GateKind.COMPARISON, _MEMORY, tolerance=0.5),
)
