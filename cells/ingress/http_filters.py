"""The path of a request through Envoy: is its client still trusted, has it a key if it needs one,
is it within its limit? Then inflate it, read its namespace, compare, forward.

Whatever goes wrong on the way leaves the request without a readable namespace, which is denied.
"""

from importlib.resources import files
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from cells.ingress.descriptors import OPEN_PATHS, SERVICE, namespaced_methods
from cells.ingress.policies import (
    REQUEST_LIMITS,
    REVOCATIONS,
    WHY_DENIED,
    denied_by,
    request_limits,
    revocations,
)

Json = dict[str, object]

TYPE = "type.googleapis.com/"

LARGEST_MESSAGE = 4 << 20
"""Bytes. Temporal's frontend takes no larger request (grpc-go's default)."""

INFLATE_TIERS = ((16 << 10, 1032), (128 << 10, 256), (1 << 20, 32), (LARGEST_MESSAGE, 4))
"""Compressed size up to which a tier goes, and how many times that size it may inflate to.

Every message that is at most LARGEST_MESSAGE inflated passes its tier, and no tier inflates to
more than 32 MiB, so that a bomb costs little. DEFLATE itself cannot exceed 1032.
"""

_EXTRACTION = "envoy.filters.http.grpc_field_extraction"
_SKIP = "envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
_TIER_HEADER = "x-ingress-inflate"


def http_filters(descriptor_set: Path, gatekeeper: str) -> list[Json]:
    """Return the HTTP filters, in order; `gatekeeper` is the cluster of the gatekeeper."""
    return [
        _lua("tenant", ""),
        _discovered(REVOCATIONS, revocations((), ())),
        _ask_for_key(gatekeeper),
        _discovered(REQUEST_LIMITS, request_limits({})),
        _lua("unframe", _inflate_constants()),
        *(_inflate(tier, ratio) for tier, (_, ratio) in enumerate(INFLATE_TIERS, start=1)),
        _lua("reframe", ""),
        _extract_namespace(descriptor_set),
        _compare_namespaces(),
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": TYPE + "envoy.extensions.filters.http.router.v3.Router"},
        },
    ]


def refusals() -> list[Json]:
    """Return what Envoy says where its own filter has no more to say than that access is denied."""
    return [
        {
            "filter": {
                "extension_filter": {
                    "name": "denied_by",
                    "typed_config": {
                        "@type": TYPE
                        + "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                        "expression": f"response.code_details == '{denied_by(policy)}'",
                    },
                }
            },
            "body": {"inline_string": words},
        }
        for policy, words in WHY_DENIED.items()
    ]


def _lua(name: str, constants: str) -> Json:
    script = files("cells.ingress").joinpath(f"{name}.lua").read_text()
    return {
        "name": f"ingress.{name}",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": constants + script},
        },
    }


def _discovered(name: str, without: Message) -> Json:
    """Return a filter whose configuration the gatekeeper tells; until then it is `without`."""
    typed: Json = {
        "@type": TYPE + without.DESCRIPTOR.full_name,
        **MessageToDict(without, preserving_proto_field_name=True),
    }
    return {
        "name": name,
        "config_discovery": {
            "config_source": {"ads": {}, "resource_api_version": "V3"},
            "default_config": typed,
            # Envoy starts without its gatekeeper.
            "apply_default_config_without_warming": True,
            "type_urls": [typed["@type"]],
        },
    }


def _ask_for_key(gatekeeper: str) -> Json:
    """Return the filter that asks the gatekeeper about each request, except where a certificate has
    let the connection in."""
    return _unless(
        "ingress.api_key",
        {
            "name": "ext_authz",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                "stat_prefix": "api_key",
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": gatekeeper}, "timeout": "2s"},
                "allowed_headers": {"patterns": [{"exact": "authorization"}]},
                "metadata_context_namespaces": ["ingress"],
                "failure_mode_allow": False,
                "status_on_error": {"code": "ServiceUnavailable"},
            },
        },
        {
            "single_predicate": {
                "input": {
                    "name": "credential",
                    "typed_config": {
                        "@type": TYPE
                        + "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput",
                        "filter": "ingress",
                        "path": [{"key": "credential"}],
                    },
                },
                "custom_match": {
                    "name": "certificate",
                    "typed_config": {
                        "@type": TYPE
                        + "envoy.extensions.matching.input_matchers.metadata.v3.Metadata",
                        "value": {"string_match": {"exact": "certificate"}},
                    },
                },
            }
        },
    )


def _inflate_constants() -> str:
    ends = ", ".join(str(end) for end, _ in INFLATE_TIERS)
    return f"local LARGEST_MESSAGE = {LARGEST_MESSAGE}\nlocal TIER_ENDS = {{ {ends} }}\n"


def _inflate(tier: int, ratio: int) -> Json:
    """Return the decompressor of one tier; it looks away unless unframe.lua chose it."""
    others = [str(t) for t in range(1, len(INFLATE_TIERS) + 1) if t != tier]
    return _unless(
        f"ingress.inflate_{tier}",
        {
            "name": "decompressor",
            "typed_config": {
                "@type": TYPE + "envoy.extensions.filters.http.decompressor.v3.Decompressor",
                "decompressor_library": {
                    "name": "gzip",
                    "typed_config": {
                        "@type": TYPE + "envoy.extensions.compression.gzip.decompressor.v3.Gzip",
                        "max_inflate_ratio": ratio,
                        "chunk_size": 65536,
                    },
                },
                "request_direction_config": {"advertise_accept_encoding": False},
                "response_direction_config": {
                    "common_config": {
                        "enabled": {
                            "default_value": False,
                            "runtime_key": "ingress.inflate_responses",
                        }
                    }
                },
            },
        },
        {"or_matcher": {"predicate": [_header_is(_TIER_HEADER, other) for other in others]}},
    )


def _unless(name: str, extension: Json, predicate: Json) -> Json:
    """Return a filter that looks away from requests of which the predicate is true."""
    skip: Json = {"action": {"name": "skip", "typed_config": {"@type": TYPE + _SKIP}}}
    return {
        "name": name,
        "typed_config": {
            "@type": TYPE + "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
            "extension_config": extension,
            "xds_matcher": {
                "matcher_list": {"matchers": [{"predicate": predicate, "on_match": skip}]}
            },
        },
    }


def _header_is(name: str, value: str) -> Json:
    return {
        "single_predicate": {
            "input": {
                "name": "header",
                "typed_config": {
                    "@type": TYPE + "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                    "header_name": name,
                },
            },
            "value_match": {"exact": value},
        }
    }


def _extract_namespace(descriptor_set: Path) -> Json:
    return {
        "name": _EXTRACTION,
        "typed_config": {
            "@type": TYPE
            + "envoy.extensions.filters.http.grpc_field_extraction.v3.GrpcFieldExtractionConfig",
            "descriptor_set": {"filename": str(descriptor_set)},
            "extractions_by_method": {
                method: {"request_field_extractions": {"namespace": {}}}
                for method in namespaced_methods()
            },
        },
    }


def _compare_namespaces() -> Json:
    """Return the filter that lets a request pass for its connection's own namespace only."""
    requested = _index(_metadata(_EXTRACTION, "namespace"), {"int64_value": 0})
    admitted = _metadata("ingress", "namespace")
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": "ALLOW",
                "policies": {
                    "open": {
                        "permissions": [
                            {"url_path": {"path": {"exact": path}}} for path in OPEN_PATHS
                        ],
                        "principals": [{"any": True}],
                    },
                    "own_namespace": {
                        "permissions": [{"url_path": {"path": {"prefix": f"/{SERVICE}/"}}}],
                        "principals": [{"any": True}],
                        "condition": {
                            "call_expr": {"function": "_==_", "args": [requested, admitted]}
                        },
                    },
                },
            },
        },
    }


# CEL has no text form in Envoy's configuration: these write the syntax tree.


def _metadata(filter_name: str, key: str) -> Json:
    """Write `metadata.filter_metadata[filter_name][key]`."""
    metadata: Json = {
        "select_expr": {
            "operand": {"ident_expr": {"name": "metadata"}},
            "field": "filter_metadata",
        }
    }
    return _index(_index(metadata, {"string_value": filter_name}), {"string_value": key})


def _index(operand: Json, key: Json) -> Json:
    return {"call_expr": {"function": "_[_]", "args": [operand, {"const_expr": key}]}}
