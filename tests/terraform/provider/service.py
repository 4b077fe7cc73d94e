"""The provider's side of Terraform's plugin protocol, version 6, over real schemas."""

import json
import threading
from pathlib import Path
from typing import Any

from tf.gen import tfplugin_pb2 as protocol
from tf.gen import tfplugin_pb2_grpc as rpc

from tests.terraform.cdktn import Block, Type
from tests.terraform.provider import plausible
from tests.terraform.provider.identities import named_identity
from tests.terraform.provider.pretended_cloud import Broken, PretendedCloud, Refused
from tests.terraform.provider.values import (
    UNKNOWN,
    Values,
    completed,
    decoded,
    encoded,
    is_known,
    known,
)

_NESTING = {
    "list": protocol.Schema.NestedBlock.LIST,
    "set": protocol.Schema.NestedBlock.SET,
    "map": protocol.Schema.NestedBlock.MAP,
    "single": protocol.Schema.NestedBlock.SINGLE,
}
_REPLACING = frozenset(
    {
        *("name", "name_prefix", "identifier", "bucket", "domain_name", "cluster_name"),
        *("node_group_name", "cidr_block", "ip_cidr_range", "location", "project", "engine"),
        *("username", "vpc_id", "storage_encrypted"),
    }
)
"""Attributes whose change makes another resource: the schemas do not say which do."""
_ACCOUNT = "123456789012"
_MERGED = {"tags_all": "tags", "effective_labels": "labels", "terraform_labels": "labels"}


class Provider(rpc.ProviderServicer):  # type: ignore[misc]  # Generated.
    """Plans and applies what its schemas allow; `PretendedCloud` keeps what comes of it."""

    def __init__(self, schemas: Path, cloud: PretendedCloud) -> None:
        whole = json.loads(schemas.read_text())
        self._configuration: Block = whole["configuration"]
        self._resources: dict[str, Block] = whole["resources"]
        self._data: dict[str, Block] = whole["data"]
        self._cloud = cloud
        self._account = _ACCOUNT
        self._region = "us-east-1"
        self._default_tags: Values = {}
        self._lock = threading.Lock()

    def GetMetadata(self, _request: Any, _context: Any) -> Any:
        return protocol.GetMetadata.Response(
            resources=[
                protocol.GetMetadata.ResourceMetadata(type_name=kind) for kind in self._resources
            ],
            data_sources=[
                protocol.GetMetadata.DataSourceMetadata(type_name=kind) for kind in self._data
            ],
        )

    def GetProviderSchema(self, _request: Any, _context: Any) -> Any:
        return protocol.GetProviderSchema.Response(
            provider=_schema(self._configuration),
            resource_schemas={kind: _schema(block) for kind, block in self._resources.items()},
            data_source_schemas={kind: _schema(block) for kind, block in self._data.items()},
        )

    def ValidateProviderConfig(self, _request: Any, _context: Any) -> Any:
        return protocol.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, _context: Any) -> Any:
        given = known(decoded(request.config)) or {}
        accounts = given.get("allowed_account_ids") or [_ACCOUNT]
        self._account = given.get("project") or accounts[0]
        self._region = given.get("region") or self._region
        for block in given.get("default_tags") or []:
            self._default_tags.update(block.get("tags") or {})
        self._default_tags.update(given.get("default_labels") or {})
        return protocol.ConfigureProvider.Response()

    def ValidateResourceConfig(self, _request: Any, _context: Any) -> Any:
        return protocol.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, _request: Any, _context: Any) -> Any:
        return protocol.ValidateDataResourceConfig.Response()

    def UpgradeResourceState(self, request: Any, _context: Any) -> Any:
        return protocol.UpgradeResourceState.Response(
            upgraded_state=encoded(json.loads(request.raw_state.json))
        )

    def ReadResource(self, request: Any, _context: Any) -> Any:
        found = self._cloud.resource(request.type_name, request.private.decode())
        return protocol.ReadResource.Response(new_state=encoded(found), private=request.private)

    def ImportResourceState(self, request: Any, _context: Any) -> Any:
        found = self._cloud.resource(request.type_name, request.id)
        if found is None:
            # As providers of the older kind do: what is read next is not there.
            block = self._resources[request.type_name]
            found = dict.fromkeys((*block["attributes"], *block["block_types"]))
            found |= {"id": request.id} if "id" in block["attributes"] else {}
            found |= {
                name: []
                for name, nested in block["block_types"].items()
                if nested["nesting_mode"] in ("list", "set")
            }
        return protocol.ImportResourceState.Response(
            imported_resources=[
                protocol.ImportResourceState.ImportedResource(
                    type_name=request.type_name,
                    state=encoded(found),
                    private=request.id.encode(),
                )
            ]
        )

    def ReadDataSource(self, request: Any, _context: Any) -> Any:
        kind = request.type_name
        values = decoded(request.config) or {}
        values |= plausible.data(kind, values, self._account, self._region)
        values |= self._cloud.overrides(f"data.{kind}")

        def make(name: str, type_: Type) -> Any:
            return plausible.plausible(kind, kind, self._account, self._region, name, type_)

        return protocol.ReadDataSource.Response(
            state=encoded(completed(self._data[kind], values, make))
        )

    def PlanResourceChange(self, request: Any, _context: Any) -> Any:
        prior, planned = decoded(request.prior_state), decoded(request.proposed_new_state)
        replacing: list[str] = []
        if planned is not None:
            block = self._resources[request.type_name]
            if prior is None:
                for name in self._computed_blocks(request.type_name):
                    planned[name] = planned.get(name) or UNKNOWN
                planned = completed(block, planned, lambda _name, _type: UNKNOWN)
            else:
                changed = {name for name, value in planned.items() if value != prior.get(name)}
                replacing = sorted(changed & _REPLACING)
            planned = self._merged(block, planned)
        return protocol.PlanResourceChange.Response(
            planned_state=encoded(planned),
            planned_private=request.prior_private,
            requires_replace=[
                protocol.AttributePath(steps=[protocol.AttributePath.Step(attribute_name=name)])
                for name in replacing
            ],
            legacy_type_system=True,
        )

    def ApplyResourceChange(self, request: Any, _context: Any) -> Any:
        prior, planned = decoded(request.prior_state), decoded(request.planned_state)
        kind = request.type_name
        identity, made = request.planned_private.decode(), None
        try:
            if planned is None:
                self._cloud.delete(kind, identity)
            elif prior is None:
                identity, made = self._made(kind, known(planned))
                self._cloud.create(kind, identity, made)
            else:
                made = known(planned)
                self._cloud.update(kind, identity, made)
        except Refused as error:
            return self._applied(identity, prior, f"{kind}: {error}")
        except Broken as error:
            return self._applied(identity, made, f"{kind}: {error}")
        return self._applied(identity, made)

    def StopProvider(self, _request: Any, _context: Any) -> Any:
        self._cloud.stop()
        return protocol.StopProvider.Response()

    def _made(self, kind: str, values: Values) -> tuple[str, Values]:
        """Return a new resource and its identity."""
        identity = named_identity(kind, values, self._account, self._region)
        if identity is None:
            short = kind.split("_", 1)[1].replace("_", "-")
            identity = f"{short}-{self._cloud.new_identity(kind)}"

        def make(name: str, type_: Type) -> Any:
            return plausible.plausible(kind, identity, self._account, self._region, name, type_)

        block = self._resources[kind]
        values = {**values, **self._computed_blocks(kind, identity)}
        if "id" in block["attributes"]:
            values["id"] = identity
        return identity, completed(block, self._merged(block, values), make)

    def _computed_blocks(self, kind: str, identity: str = "") -> Values:
        """Return what the cloud decides: chosen attributes and blocks, filled in where needed."""
        return {
            **plausible.COMPUTED_BLOCKS.get(kind, {}),
            **self._cloud.overrides(kind, identity),
        }

    def _merged(self, block: Block, values: Values) -> Values:
        merged = dict(values)
        for whole, own in _MERGED.items():
            if whole in block["attributes"] and own in values:
                given = values[own]
                merged[whole] = (
                    {**self._default_tags, **(given or {})} if is_known(given) else UNKNOWN
                )
        return merged

    def _applied(self, identity: str, made: Values | None, error: str = "") -> Any:
        diagnostics = [
            protocol.Diagnostic(severity=protocol.Diagnostic.ERROR, summary=error, detail=error)
        ]
        return protocol.ApplyResourceChange.Response(
            new_state=encoded(made),
            # What the provider keeps for itself: not every resource has an id to be found by.
            private=identity.encode(),
            legacy_type_system=True,
            diagnostics=diagnostics if error else [],
        )


def _schema(block: Block) -> Any:
    return protocol.Schema(version=0, block=_block(block))


def _block(block: Block) -> Any:
    return protocol.Schema.Block(
        attributes=[
            protocol.Schema.Attribute(
                name=name,
                type=json.dumps(attribute["type"]).encode(),
                required=attribute["required"],
                optional=attribute["optional"],
                computed=attribute["computed"],
            )
            for name, attribute in block["attributes"].items()
        ],
        block_types=[
            protocol.Schema.NestedBlock(
                type_name=name,
                block=_block(nested["block"]),
                nesting=_NESTING[nested["nesting_mode"]],
                min_items=nested.get("min_items", 0),
                max_items=nested.get("max_items", 0),
            )
            for name, nested in block["block_types"].items()
        ],
    )
