"""Objects of the stand-in's state bucket: what Terraform's backend `gcs` asks of Cloud Storage."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from tests.clouds.gcp.api_errors import ApiError, denied
from tests.clouds.gcp.world import World

Json = dict[str, Any]


@dataclass
class _Object:
    content: bytes
    generation: int


@dataclass
class ObjectsApi:
    """Reads, lists, writes and deletes, under generations, within the folders that one may."""

    world: World
    kept: dict[str, _Object] = field(default_factory=dict)
    generations: int = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/storage/v1/b/{bucket}/o", self._answering(self.list)),
            web.get("/storage/v1/b/{bucket}/o/{object:.+}", self._answering(self.get)),
            web.delete("/storage/v1/b/{bucket}/o/{object:.+}", self._answering(self.delete)),
            web.post("/upload/storage/v1/b/{bucket}/o", self._answering(self.put)),
            web.get(f"/{self.world.bucket}/{{object:.+}}", self._answering(self.read)),
        ]

    def _answering(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            try:
                response: web.Response = await handler(request)
            except ApiError as error:
                status, body = error.rest(older=True)
                return web.json_response(body, status=status)
            return response

        return answer

    def lock(self, name: str, who: str) -> None:
        """Have somebody hold a lock of Terraform's."""
        info = {"ID": "", "Operation": "OperationTypeApply", "Info": "", "Who": who, "Path": name}
        self.generations += 1
        self.kept[name] = _Object(json.dumps(info).encode(), self.generations)

    async def list(self, request: web.Request) -> web.Response:
        prefix = request.query.get("prefix", "")
        self._permit(request, prefix)
        shown = [self._shown(name) for name in sorted(self.kept) if name.startswith(prefix)]
        return web.json_response({"kind": "storage#objects", "items": shown})

    async def get(self, request: web.Request) -> web.Response:
        name = request.match_info["object"]
        self._permit(request, name)
        kept = self._kept(name)
        if request.query.get("alt") == "media":
            return web.Response(body=kept.content)
        return web.json_response(self._shown(name))

    async def read(self, request: web.Request) -> web.Response:
        """Answer as the older XML API does, which Google's Go client reads from."""
        name = request.match_info["object"]
        self._permit(request, name)
        kept = self._kept(name)
        headers = {"X-Goog-Generation": str(kept.generation), "X-Goog-Metageneration": "1"}
        return web.Response(body=kept.content, headers=headers)

    async def put(self, request: web.Request) -> web.Response:
        parts = await request.multipart()
        metadata, content = json.loads(await _part(parts)), await _part(parts)
        name = metadata["name"]
        self._permit(request, name)
        self._match(request, name)
        self.generations += 1
        self.kept[name] = _Object(content, self.generations)
        return web.json_response(self._shown(name))

    async def delete(self, request: web.Request) -> web.Response:
        name = request.match_info["object"]
        self._permit(request, name)
        self._kept(name)
        self._match(request, name)
        del self.kept[name]
        return web.Response(status=204)

    def _permit(self, request: web.Request, name: str) -> None:
        """Let in whoever has a binding whose condition names the folder."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        caller = self.world.tokens.get(token)
        folders = [
            binding["condition"]["expression"].partition("/objects/")[2].partition('"')[0]
            for binding in self.world.state_policy.bindings
            if caller in binding["members"] and "condition" in binding
        ]
        if not any(name.startswith(folder) for folder in folders):
            raise denied("storage.objects.get", f"{self.world.bucket}/{name}")

    def _match(self, request: web.Request, name: str) -> None:
        wanted = request.query.get("ifGenerationMatch")
        present = self.kept[name].generation if name in self.kept else 0
        if wanted is not None and int(wanted) != present:
            raise ApiError("ABORTED", "At least one of the pre-conditions did not hold.")

    def _kept(self, name: str) -> _Object:
        if name not in self.kept:
            raise ApiError("NOT_FOUND", f"No such object: {self.world.bucket}/{name}")
        return self.kept[name]

    def _shown(self, name: str) -> Json:
        kept = self.kept[name]
        return {
            "kind": "storage#object",
            "bucket": self.world.bucket,
            "name": name,
            "generation": str(kept.generation),
            "metageneration": "1",
            "size": str(len(kept.content)),
        }


async def _part(parts: Any) -> bytes:
    part = await parts.next()
    assert isinstance(part, BodyPartReader)
    return bytes(await part.read())
