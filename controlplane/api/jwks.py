"""The public keys that verify API keys' tokens, for whoever wants to check one: RFC 7517."""

from fastapi import APIRouter

from controlplane.identity.keys import ApiKeys

PATH = "/.well-known/jwks.json"


def jwks_router(keys: ApiKeys) -> APIRouter:
    """Return the route that publishes the keys in force; it is open to all."""
    router = APIRouter()

    @router.get(PATH)
    async def jwks() -> dict[str, list[dict[str, str]]]:
        """Return the public keys with which tokens of API keys are verified."""
        return {"keys": await keys.public_keys()}

    return router
