"""A namespace as a spec file that `controlplane namespace apply` takes as it is."""

import yaml
from google.protobuf.json_format import MessageToDict
from temporalio.api.cloud.namespace.v1 import Namespace

from controlplane.cli.spec.plain import plain

_FIRST = ("name", "replicas", "retentionDays")


def as_spec_file(namespace: Namespace) -> str:
    """Return the namespace's spec and tags as YAML."""
    spec = plain(namespace.spec)
    fields = MessageToDict(spec)
    mtls = fields.get("mtlsAuth", {})
    if spec.mtls_auth.accepted_client_ca:
        mtls["acceptedClientCa"] = spec.mtls_auth.accepted_client_ca.decode(errors="replace")
    for name, kind in fields.get("searchAttributes", {}).items():
        fields["searchAttributes"][name] = kind.removeprefix("SEARCH_ATTRIBUTE_TYPE_")
    document = {
        **{key: fields[key] for key in _FIRST if key in fields},
        **{key: value for key, value in fields.items() if key not in _FIRST and value != {}},
        "tags": dict(sorted(namespace.tags.items())),
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes certificates line by line, as people keep them."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
