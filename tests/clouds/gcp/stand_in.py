"""GCP on this machine: its real protocols, over real connections, with an organisation of its own.

gRPC and REST are served as Google's own descriptions of them say: methods, paths, parameters and
bodies are checked. What the calls do is written here, as far as the control plane uses it: things
that take their time, eventual consistency, etags, errors. What is not shown: the real semantics of
everything else, and real time.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cells.providers.gcp.settings import GcpSettings
from controlplane.gcp.calls import Google
from controlplane.gcp.identity import LIFETIME, Minted, Token
from tests.clouds.gcp.faults import Faults
from tests.clouds.gcp.faulty import Front
from tests.clouds.gcp.grpc_api import GrpcApi
from tests.clouds.gcp.inside import InsideApi
from tests.clouds.gcp.objects import ObjectsApi
from tests.clouds.gcp.organisation import OrganisationApi
from tests.clouds.gcp.resource_manager import ResourceManagerApi
from tests.clouds.gcp.rest_api import RestApi
from tests.clouds.gcp.world import Project, World

FOLDER = "folders/424242424242"
BILLING_ACCOUNT = "012345-6789AB-CDEF01"
HOME = "control-plane"
BUCKET = "control-plane-terraform"
EMAIL = f"controlplane@{HOME}.iam.gserviceaccount.com"
FLEET_ZONE = "fleet"
"""Google's name of the zone in which the fleet's names are."""


@dataclass(frozen=True)
class StandIn:
    """A running one. Point GOOGLE_APPLICATION_CREDENTIALS at its credentials."""

    rest: str
    grpc: str
    credentials_file: Path
    world: World
    front: Front
    objects: ObjectsApi

    @property
    def faults(self) -> Faults:
        return self.front.faults

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a control plane that works here."""
        return {
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.credentials_file),
            "CONTROLPLANE_GCP_FOLDER": FOLDER,
            "CONTROLPLANE_GCP_BILLING_ACCOUNT": BILLING_ACCOUNT,
            "CONTROLPLANE_GCP_PROJECT": HOME,
            "CONTROLPLANE_GCP_PRINCIPAL": f"serviceAccount:{EMAIL}",
            "CONTROLPLANE_GCP_STATE_BUCKET": BUCKET,
            "CONTROLPLANE_GCP_CELLS_ZONE": "cells.fleet.test",
            "CONTROLPLANE_GCP_DNS_PARENT_ZONE": FLEET_ZONE,
            "CONTROLPLANE_GCP_REST_ENDPOINT": self.rest,
            "CONTROLPLANE_GCP_GRPC_ENDPOINT": self.grpc,
        }

    @property
    def google(self) -> Google:
        """Return what calls it as the control plane, whatever the environment says."""

        async def mint() -> Token:
            return Token(self.world.new_token(self.world.us), datetime.now(UTC) + LIFETIME)

        return Google(Minted(self.world.us, mint), self.rest)

    @property
    def settings(self) -> GcpSettings:
        return GcpSettings.from_env(self.environment)


@contextlib.asynccontextmanager
async def running_gcp(folder: Path) -> AsyncIterator[StandIn]:
    """Yield a stand-in that serves until the block ends; its credentials are put in the folder."""
    us = f"serviceAccount:{EMAIL}"
    home = Project(HOME, 7, "organizations/1", "The control plane", {})
    home.apis = {f"{api}.googleapis.com" for api in ("compute", "dns", "secretmanager")}
    home.zones[FLEET_ZONE] = {"dnsName": "fleet.test.", "rrsets": []}
    world = World(FOLDER, BILLING_ACCOUNT, home, BUCKET, us)
    front = Front(world.tokens)

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    rest = RestApi(front)
    for api in (OrganisationApi(world), InsideApi(world)):
        for document, handlers in api.handlers().items():
            rest.serve(document, handlers)
    grpc_api = GrpcApi(front, dict(ResourceManagerApi(world).handlers()))

    application = web.Application(client_max_size=2**24)
    application.router.add_post("/token", _Tokens(world, key.public_key()).answer)
    objects = ObjectsApi(world)
    application.add_routes(objects.routes())
    application.router.add_route("*", "/{path:.*}", rest.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    server: grpc.aio.Server | None = None
    try:
        server, grpc_address = await grpc_api.start()
        credentials = folder / "credentials.json"
        credentials.write_text(_credentials(key, f"{address}/token"))
        yield StandIn(address, grpc_address, credentials, world, front, objects)
    finally:
        if server is not None:
            await server.stop(None)
        await runner.cleanup()


@dataclass(frozen=True)
class _Tokens:
    """Gives tokens to whoever signs with a service account's key (RFC 7523)."""

    world: World
    key: rsa.RSAPublicKey

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        try:
            claims = jwt.decode(
                str(form["assertion"]), self.key, ["RS256"], options={"verify_aud": False}
            )
        except jwt.InvalidTokenError as error:
            refusal = {"error": "invalid_grant", "error_description": f"Invalid JWT: {error}"}
            return web.json_response(refusal, status=400)
        token = self.world.new_token(f"serviceAccount:{claims['iss']}")
        return web.json_response(
            {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
        )


def _credentials(key: rsa.RSAPrivateKey, token_uri: str) -> str:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": HOME,
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": token_uri,
        }
    )
