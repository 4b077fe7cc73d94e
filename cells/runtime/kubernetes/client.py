"""The API server of one cluster, as far as cells need it: whole objects in, whole objects out.

Objects go as they are written, and are not turned into classes of one version of the API and back:
a cluster may be older than the client, and must get nothing that it does not know.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import ClientError
from kubernetes.aio.client import ApiClient, Configuration

from cells.providers.types import ClusterAccess
from cells.runtime.kubernetes.documents import Json, elements, mapping, name_of, text
from cells.runtime.kubernetes.errors import ClusterUnavailable, failure
from cells.runtime.kubernetes.manifests.naming import FIELD_MANAGER

Lend = Callable[[], Awaitable[ClusterAccess]]
"""Returns a way into the cluster that is good for some minutes."""

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_ANSWER_SECONDS = 30.0
_RENEW_BEFORE = timedelta(minutes=2)
_MOST_IN_ONE_ANSWER = 500


@dataclass(frozen=True)
class Resource:
    """Where the objects of a kind are."""

    path: str
    """Of the group and version, such as `/apis/apps/v1`."""
    plural: str
    namespaced: bool


@dataclass
class ClusterClient:
    """One conversation with a cluster."""

    api: ApiClient
    lend: Lend
    access: ClusterAccess
    known: dict[str, dict[str, Resource]] = field(default_factory=dict)
    """By group and version, what each kind is called."""
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def version(self) -> tuple[int, int]:
        """Return major and minor version of the API server."""
        found = await self._request("read", "its version", "GET", "/version")
        digits = "".join(c for c in text(found, "minor") if c.isdigit())  # `28+`, says EKS.
        return int(text(found, "major")), int(digits)

    async def serves(self, api_version: str, kind: str) -> bool:
        """Tell whether the cluster has objects of this kind in this version of its group."""
        return kind in await self._kinds(api_version)

    async def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Json | None:
        """Return an object, or None when there is none."""
        found = await self.listed(
            api_version, kind, namespace, field_selector=f"metadata.name={name}"
        )
        return found[0] if found else None

    async def listed(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> list[Json]:
        """Return the objects that match, each with its own kind and version."""
        path = await self._path(api_version, kind, namespace)
        found: list[Json] = []
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": str(_MOST_IN_ONE_ANSWER),
        }
        while True:
            answer = await self._request("list", f"{kind} objects", "GET", path, query)
            found += [
                {**document, "apiVersion": api_version, "kind": kind}
                for document in elements(answer, "items")
            ]
            if not (more := text(answer, "metadata", "continue")):
                return found
            query["continue"] = more

    async def apply(
        self,
        document: Json,
        *,
        force: bool = False,
        dry_run: bool = False,
        manager: str = FIELD_MANAGER,
    ) -> Json:
        """Make the object be as it is written, and return it whole.

        Fields that are not written are left to others. Raise FieldConflict when one that is belongs
        to another manager, unless by force; Changed when the object has another resource version
        than the one written, if one is.
        """
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        return await self._request(
            "apply",
            name_of(document),
            "PATCH",
            await self._object(document),
            query,
            document,
            _APPLY,
        )

    async def merge(self, document: Json, manager: str) -> Json:
        """Change the fields that are written, whoever's they are.

        Raise Changed when the object has another resource version than the one written, if one is.
        """
        query = {"fieldManager": manager}
        return await self._request(
            "change",
            name_of(document),
            "PATCH",
            await self._object(document),
            query,
            document,
            _MERGE,
        )

    async def create(self, document: Json, manager: str = FIELD_MANAGER) -> Json:
        """Make an object; raise Changed when there is one of its name."""
        namespace = text(document, "metadata", "namespace")
        path = await self._path(text(document, "apiVersion"), text(document, "kind"), namespace)
        query = {"fieldManager": manager}
        return await self._request("create", name_of(document), "POST", path, query, document)

    async def delete(self, document: Json) -> None:
        """Delete the object and, after it, what it has made; succeed when it is gone already."""
        options: Json = {"propagationPolicy": "Background"}
        if uid := text(document, "metadata", "uid"):
            options["preconditions"] = {"uid": uid}
        path = await self._object(document)
        await self._request("delete", name_of(document), "DELETE", path, {}, options)

    async def review(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        """Tell whether the cluster would allow us something."""
        attributes: Json = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "namespace": namespace,
        }
        document: Json = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self._request("ask about", resource, "POST", path, {}, document)
        return mapping(answer, "status").get("allowed") is True

    async def _object(self, document: Json) -> str:
        metadata = mapping(document, "metadata")
        collection = await self._path(
            text(document, "apiVersion"), text(document, "kind"), text(metadata, "namespace")
        )
        return f"{collection}/{text(metadata, 'name')}"

    async def _path(self, api_version: str, kind: str, namespace: str) -> str:
        resource = (await self._kinds(api_version)).get(kind)
        if resource is None:
            raise ClusterUnavailable(f"the cluster knows no {kind} in {api_version}")
        where = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
        return f"{resource.path}{where}/{resource.plural}"

    async def _kinds(self, api_version: str) -> dict[str, Resource]:
        if api_version not in self.known:
            path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            answer = await self._ask("read", f"its kinds in {api_version}", "GET", path)
            self.known[api_version] = {
                text(kind, "kind"): Resource(
                    path, text(kind, "name"), kind.get("namespaced") is True
                )
                for kind in elements(answer or {}, "resources")
                if "/" not in text(kind, "name")
            }
        return self.known[api_version]

    async def _request(
        self,
        asked: str,
        name: str,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        answer = await self._ask(asked, name, method, path, query, body, content_type)
        if answer is None:
            raise failure(asked, name, 404, b"", {})
        return answer

    async def _ask(
        self,
        asked: str,
        name: str,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json | None:
        """Return the answer, or None where there is no such path."""
        await self._renew()
        request = await self.api.param_serialize(
            method,
            path,
            query_params=[(key, value) for key, value in (query or {}).items() if value],
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self.api.call_api(*request, _request_timeout=_ANSWER_SECONDS)
            content = await response.response.read()
        except (ClientError, TimeoutError, OSError) as error:
            where = self.access.cluster.endpoint
            raise ClusterUnavailable(
                f"the cluster at {where} did not answer: {str(error) or type(error).__name__}"
            ) from error
        if response.status == 404 and method in ("GET", "DELETE"):
            return None if method == "GET" else {}
        if not 200 <= response.status < 300:
            raise failure(asked, name, response.status, content, response.headers)
        decoded = json.loads(content)
        assert isinstance(decoded, dict)
        return decoded

    async def _renew(self) -> None:
        """Have a token that is good for a while: a roll-out takes longer than one lasts."""
        async with self.renewing:
            if self.access.expires_at - datetime.now(UTC) > _RENEW_BEFORE:
                return
            self.access = await self.lend()
            self.api.configuration.api_key = _bearer(self.access)


@contextlib.asynccontextmanager
async def connected(lend: Lend) -> AsyncIterator[ClusterClient]:
    """Lend a client of the cluster that `lend` leads to."""
    access = await lend()
    configuration = Configuration(
        host=access.cluster.endpoint.rstrip("/"),
        api_key=_bearer(access),
        ca_cert_data=access.cluster.ca,
        # Neither a proxy nor a password of whoever's machine this is.
        client_session_kwargs={"trust_env": False},
    )
    async with ApiClient(configuration) as api:
        yield ClusterClient(api, lend, access)


def _bearer(access: ClusterAccess) -> dict[str, str]:
    return {"BearerToken": f"Bearer {access.token}"}
