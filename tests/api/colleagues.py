"""Users of an account who may do less than its owner."""

import secrets
from collections.abc import Mapping
from dataclasses import replace

from controlplane.identity.types import Permission, Role
from tests.api.running import Tenant


async def colleague(
    tenant: Tenant, role: Role, permissions: Mapping[str, Permission] | None = None
) -> Tenant:
    """Return another user of the tenant's account, connected; permissions by full namespace id."""
    user = f"{role or 'nobody'}-{secrets.token_hex(4)}"
    async with tenant.api.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO users (id, account_id, email, role) VALUES (%s, %s, %s, %s)",
            (user, tenant.account, f"{user}@example.com", role.value),
        )
        for namespace, permission in (permissions or {}).items():
            await connection.execute(
                "INSERT INTO namespace_permissions (owner_id, namespace, account_id, permission)"
                " VALUES (%s, %s, %s, %s)",
                (user, namespace, tenant.account, permission.value),
            )
    owner = replace(tenant.owner, user=user, email=f"{user}@example.com")
    token = (await owner.key()).token
    return Tenant(tenant.api, owner, token, await tenant.api.connect(token))
