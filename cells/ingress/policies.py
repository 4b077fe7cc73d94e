"""What Envoy asks of every request by itself: is its client still trusted, and not too fast?

Both are configurations of filters. Envoy begins with empty ones and takes the present ones from the
gatekeeper while it runs (extension configuration discovery); they hold for open connections too.
Envoy looks a request up by name: what a namespace, a limit or a revocation more costs a request is
nothing.
"""

from collections.abc import Iterable, Mapping

from envoy.config.rbac.v3.rbac_pb2 import RBAC as Rules
from envoy.config.rbac.v3.rbac_pb2 import Action
from envoy.config.route.v3.route_components_pb2 import RateLimit
from envoy.extensions.common.ratelimit.v3.ratelimit_pb2 import (
    LocalRateLimitDescriptor,
    RateLimitDescriptor,
)
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from envoy.type.v3.percent_pb2 import FractionalPercent
from envoy.type.v3.token_bucket_pb2 import TokenBucket
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import UInt32Value
from xds.core.v3.extension_pb2 import TypedExtensionConfig as MatcherExtension
from xds.type.matcher.v3.matcher_pb2 import Matcher

REVOCATIONS = "ingress.revocations"
REQUEST_LIMITS = "ingress.request_limits"
"""The names of the configurations."""

# tenant.lua writes these, and nothing that a client sends under their names reaches the filters.
# The authority alone is written for a peer.
CERTIFICATE_HEADER = "x-ingress-certificate"
AUTHORITY_HEADER = "x-ingress-authority"

_REVOKED, _WITHDRAWN = "certificate_revoked", "authority_withdrawn"
WHY_DENIED = {
    _REVOKED: "the client certificate was revoked: connect with another one",
    _WITHDRAWN: "the namespace no longer trusts the CA that issued the client certificate",
}
"""What a client is told, by the policy that denied its request."""

_SECOND = Duration(seconds=1)


def revocations(certificates: Iterable[str], authorities: Iterable[str]) -> RBAC:
    """Return the filter that refuses requests on connections of these certificates, and of any that
    these authorities vouched for; each is `<namespace>/<serial or authority id>`."""
    passes = Matcher.OnMatch(action=_action("trusted", Rules.ALLOW))
    by_authority = _lookup(AUTHORITY_HEADER, authorities, _WITHDRAWN, otherwise=passes)
    otherwise = Matcher.OnMatch(matcher=by_authority)
    by_certificate = _lookup(CERTIFICATE_HEADER, certificates, _REVOKED, otherwise=otherwise)
    return RBAC(matcher=by_certificate)


def denied_by(policy: str) -> str:
    """Return what Envoy calls the response (its code details) to a request that a policy denies."""
    return f"rbac_access_denied_matched_policy[{policy}]"


def request_limits(limits: Mapping[str, int]) -> LocalRateLimit:
    """Return the filter that holds each of these namespaces to its requests per second."""
    whole = {"default_value": FractionalPercent(numerator=100)}
    by_namespace = RateLimit.Action.MetaData(
        descriptor_key="namespace",
        source=RateLimit.Action.MetaData.DYNAMIC,
    )
    by_namespace.metadata_key.key = "ingress"
    # The control plane's own requests have none, and pass.
    by_namespace.metadata_key.path.add(key="counted_for")
    return LocalRateLimit(
        stat_prefix="requests",
        filter_enabled=whole,
        filter_enforced=whole,
        rate_limited_as_resource_exhausted=True,
        enable_x_ratelimit_headers=1,
        rate_limits=[RateLimit(actions=[RateLimit.Action(metadata=by_namespace)])],
        descriptors=[
            LocalRateLimitDescriptor(
                entries=[RateLimitDescriptor.Entry(key="namespace", value=namespace)],
                token_bucket=_bucket(limit),
            )
            for namespace, limit in sorted(limits.items())
        ],
    )


def _lookup(
    header: str, names: Iterable[str], policy: str, *, otherwise: Matcher.OnMatch
) -> Matcher:
    denied = Matcher.OnMatch(action=_action(policy, Rules.DENY))
    known = dict.fromkeys(sorted(names), denied)
    if not known:
        return Matcher(on_no_match=otherwise)
    header_value = _extension("header", HttpRequestHeaderMatchInput(header_name=header))
    tree = Matcher.MatcherTree(
        input=header_value, exact_match_map=Matcher.MatcherTree.MatchMap(map=known)
    )
    return Matcher(matcher_tree=tree, on_no_match=otherwise)


def _action(policy: str, action: Rules.Action.ValueType) -> MatcherExtension:
    return _extension(policy, Action(name=policy, action=action))


def _extension(name: str, config: Message) -> MatcherExtension:
    extension = MatcherExtension(name=name)
    extension.typed_config.Pack(config)
    return extension


def _bucket(requests_per_second: int) -> TokenBucket:
    return TokenBucket(
        max_tokens=requests_per_second,
        tokens_per_fill=UInt32Value(value=requests_per_second),
        fill_interval=_SECOND,
    )
