"""Whom GKE takes a token for: what an API server of a cell on GCP asks about bearer tokens."""

from tests.clouds.gcp.world import World
from tests.kubernetes.authenticator import Authenticator, User

_ADMINISTRATORS = ("roles/container.admin", "roles/owner")


def gke_authenticator(world: World, project: str) -> Authenticator:
    """Return what says whose a token is, for the clusters of one project.

    As in GKE: a service account is called by its e-mail, and roles of IAM that administer clusters
    count in the cluster, too.
    """

    async def whose(token: str) -> User | None:
        caller = world.tokens.get(token)
        if caller is None:
            return None
        found = world.projects.get(project)
        administers = found is not None and any(
            found.policy.gives(role, caller) for role in _ADMINISTRATORS
        )
        groups = ("system:authenticated", *(("system:masters",) if administers else ()))
        return User(caller.partition(":")[2], groups)

    return whose
