"""The path of a request through Envoy: inflate it, read its namespace, compare, forward.

Whatever goes wrong on the way leaves the request without a readable namespace, which is denied.
"""

from importlib.resources import files
from pathlib import Path

from cells.ingress.descriptors import OPEN_PATHS, SERVICE, namespaced_methods

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


def http_filters(descriptor_set: Path) -> list[Json]:
    """Return the HTTP filters, in order."""
    return [
        _lua("tenant", ""),
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


def _lua(name: str, constants: str) -> Json:
    script = files("cells.ingress").joinpath(f"{name}.lua").read_text()
    return {
        "name": f"ingress.{name}",
        "typed_config": {
            "@type": TYPE + "envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": constants + script},
        },
    }


def _inflate_constants() -> str:
    ends = ", ".join(str(end) for end, _ in INFLATE_TIERS)
    return f"local LARGEST_MESSAGE = {LARGEST_MESSAGE}\nlocal TIER_ENDS = {{ {ends} }}\n"


def _inflate(tier: int, ratio: int) -> Json:
    """Return the decompressor of one tier; it looks away unless unframe.lua chose it."""
    matcher = TYPE + "envoy.extensions.common.matching.v3.ExtensionWithMatcher"
    others = [str(t) for t in range(1, len(INFLATE_TIERS) + 1) if t != tier]
    return {
        "name": f"ingress.inflate_{tier}",
        "typed_config": {
            "@type": matcher,
            "extension_config": {
                "name": "decompressor",
                "typed_config": {
                    "@type": TYPE + "envoy.extensions.filters.http.decompressor.v3.Decompressor",
                    "decompressor_library": {
                        "name": "gzip",
                        "typed_config": {
                            "@type": TYPE
                            + "envoy.extensions.compression.gzip.decompressor.v3.Gzip",
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
            "xds_matcher": {
                "matcher_list": {
                    "matchers": [
                        {
                            "predicate": {
                                "or_matcher": {
                                    "predicate": [
                                        _header_is(_TIER_HEADER, other) for other in others
                                    ]
                                }
                            },
                            "on_match": {
                                "action": {
                                    "name": "skip",
                                    "typed_config": {"@type": TYPE + _SKIP},
                                }
                            },
                        }
                    ]
                }
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
