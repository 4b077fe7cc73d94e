"""Where a request goes that was let in: to this cell's Temporal service, or to another cell.

Envoy takes the routes from the gatekeeper while it runs, and looks each request up by its
namespace: whether a namespace is active here or elsewhere is decided anew for every request,
however old its connection is. What a peer has passed on is never passed on again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from cells.ingress.clusters import FRONTEND, SERVER_NAME_HEADER, peer_name
from cells.ingress.descriptors import POLL_PATHS
from cells.ingress.http_filters import TYPE, Json
from cells.ingress.policies import AUTHORITY_HEADER, CERTIFICATE_HEADER

ROUTES = "ingress.routes"
"""The name of the configuration."""

# tenant.lua writes these, and nothing that a client sends under their names reaches the routes.
NAMESPACE_HEADER = "x-ingress-namespace"
"""Present on every request: the namespace if it may be passed on, else `here`."""
PROBER_HEADER = "x-ingress-prober"

_ELSEWHERE = "active in cell "


@dataclass(frozen=True, order=True)
class Elsewhere:
    """A namespace whose requests another cell answers."""

    cell: str
    forward_polls: bool
    namespace: str


def routes(elsewhere: Iterable[Elsewhere]) -> Json:
    """Return the routes; all that is not elsewhere is here."""
    by_destination = groupby(sorted(elsewhere), lambda each: (each.cell, each.forward_polls))
    return {
        "name": ROUTES,
        "vhost_header": NAMESPACE_HEADER,
        # What the ingress alone needs to know ends here; an API key above all.
        "request_headers_to_remove": [
            "authorization",
            CERTIFICATE_HEADER,
            AUTHORITY_HEADER,
            NAMESPACE_HEADER,
            SERVER_NAME_HEADER,
            PROBER_HEADER,
        ],
        "virtual_hosts": [
            {"name": "here", "domains": ["*"], "routes": [_route("here", FRONTEND)]},
            *(
                {
                    "name": f"{cell}{'' if forward_polls else ' without polls'}",
                    "domains": [each.namespace for each in namespaces],
                    "routes": [
                        *([] if forward_polls else _polls_here()),
                        _route(f"{_ELSEWHERE}{cell}", peer_name(cell)),
                    ],
                }
                for (cell, forward_polls), namespaces in by_destination
            ),
        ],
    }


def discovered_routes() -> Json:
    """Return how Envoy takes the routes from the gatekeeper: it waits for them before it listens,
    and listens all the same when there is no gatekeeper."""
    source: Json = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "10s"}
    return {"route_config_name": ROUTES, "config_source": source}


def unroutable() -> list[Json]:
    """Return what Envoy says to requests that lead nowhere just now: all may be tried again."""
    unknown: Json = {
        "filter": _details_are("response.code_details == 'route_not_found'"),
        "status_code": 503,
        "body": {"inline_string": "it is not known yet where the namespace is active: try again"},
    }
    unreachable: Json = {
        "filter": _details_are(
            f"xds.route_name.startsWith('{_ELSEWHERE}') && "
            "(response.code_details.startsWith('upstream_reset_before_response_started') || "
            "response.code_details in ['no_healthy_upstream', 'cluster_not_found'])"
        ),
        "body_format_override": {
            "text_format_source": {
                "inline_string": "the namespace is %ROUTE_NAME%, which cannot be reached from "
                "here: try again"
            }
        },
    }
    return [unknown, unreachable]


def _polls_here() -> list[Json]:
    """Return the routes of workers' polls that stay; the prober's own are passed on all the same:
    what it proves is that requests are."""
    tenants: Json = {"name": PROBER_HEADER, "present_match": True, "invert_match": True}
    return [
        {**_route("polls here", FRONTEND), "match": {"path": path, "headers": [tenants]}}
        for path in POLL_PATHS
    ]


def _route(name: str, cluster: str) -> Json:
    return {
        "name": name,
        "match": {"prefix": "/"},
        "route": {
            "cluster": cluster,
            "timeout": "0s",
            # The client's own deadline, however long, is the one.
            "max_stream_duration": {"grpc_timeout_header_max": "0s"},
        },
    }


def _details_are(expression: str) -> Json:
    cel = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    return {
        "extension_filter": {
            "name": "leads_nowhere",
            "typed_config": {"@type": TYPE + cel, "expression": expression},
        }
    }
