"""What runs once: changes of the stores' schemas, and the rehearsal of a configuration.

A Job can never be changed, so each is named by its content: asked for again, it is there already.
"""

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.manifests import pods
from cells.runtime.kubernetes.manifests.naming import SCHEMA, by_content, labels, manifest
from cells.runtime.kubernetes.manifests.temporal import (
    AUTHORITIES_FOLDER,
    DYNAMIC_FOLDER,
    TemporalFiles,
)
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.runtime.kubernetes.sizes import Size
from cells.runtime.kubernetes.temporal_config import (
    DATABASE_CA_FILE,
    DYNAMIC_FILE,
    SQL_PLUGIN,
    VISIBILITY_INDEX,
)
from cells.stores.names import TEMPORAL, TEMPORAL_VISIBILITY
from cells.types import Provider

MAIN, VISIBILITY = "main", "visibility"
STORES = (MAIN, VISIBILITY)
REHEARSAL = "rehearsal"

_SIZE = Size(replicas=1, cpu=250, memory=256)
_KEPT_SECONDS = 86_400
_SETUP = "temporal-sql-tool setup-schema -v 0.0"
"""Makes the table of versions; it leaves a store alone that has a later version."""
_SQL_SCRIPT = f"""{_SETUP}
set -- --schema-name "$SCHEMA_NAME" ${{SCHEMA_VERSION:+--version "$SCHEMA_VERSION"}}
temporal-sql-tool update-schema "$@"
"""
_SEARCH_SCRIPT = """temporal-elasticsearch-tool setup-schema
temporal-elasticsearch-tool create-index --index "$ES_VISIBILITY_INDEX"
temporal-elasticsearch-tool update-schema --index "$ES_VISIBILITY_INDEX"
"""


def schema_job(
    layout: Layout,
    store: str,
    schema_version: str,
    server_version: str,
    files: TemporalFiles,
    settings: KubernetesSettings,
) -> Json:
    """Return what brings a store to a schema version; empty: the newest that the tools know.

    Run again, it changes nothing: the tools take the steps that are missing.
    """
    searches = store == VISIBILITY and bool(layout.foundation.search)
    environment = _search(layout) if searches else _sql(layout, store, files, settings)
    container = pods.container(
        SCHEMA,
        settings.images.reference(settings.images.admin_tools, server_version),
        command=["sh", "-ec"],
        args=[_SEARCH_SCRIPT if searches else _SQL_SCRIPT],
        mounts=[pods.mount("authorities", AUTHORITIES_FOLDER)],
        env=[
            {"name": "SCHEMA_STORE", "value": store},
            {"name": "SCHEMA_VERSION", "value": schema_version},
            *environment,
        ],
        resources=pods.resources(_SIZE),
    )
    volumes = [pods.config_volume("authorities", files.authorities)]
    deadline = round(settings.pace.schema_deadline.total_seconds())
    retries = settings.pace.schema_retries
    return _job(layout, f"{SCHEMA}-{store}", SCHEMA, container, volumes, deadline, retries=retries)


def rehearsal_job(
    layout: Layout,
    server_version: str,
    dynamic: str,
    settings: KubernetesSettings,
) -> Json:
    """Return what asks a server version whether it takes a dynamic configuration."""
    container = pods.container(
        REHEARSAL,
        settings.images.reference(settings.images.server, server_version),
        command=["temporal-server"],
        args=["validate-dynamic-config", DYNAMIC_FILE],
        mounts=[pods.mount("dynamic", DYNAMIC_FOLDER)],
        resources=pods.resources(_SIZE),
    )
    deadline = round(settings.pace.progress_deadline.total_seconds())
    volumes = [pods.config_volume("dynamic", dynamic)]
    return _job(layout, REHEARSAL, SCHEMA, container, volumes, deadline, retries=0)


def _job(
    layout: Layout,
    name: str,
    account: str,
    container: Json,
    volumes: list[Json],
    deadline: int,
    *,
    retries: int,
) -> Json:
    component = REHEARSAL if name == REHEARSAL else SCHEMA
    spec: Json = {
        "backoffLimit": retries,
        "activeDeadlineSeconds": deadline,
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "template": {
            "metadata": {"labels": labels(layout, component)},
            "spec": {
                **pods.pod(layout, component, account, [container], volumes),
                "restartPolicy": "Never",
            },
        },
    }
    named = by_content(name, spec)
    return manifest("batch/v1", "Job", layout, named, component, spec=spec)


def _sql(
    layout: Layout, store: str, files: TemporalFiles, settings: KubernetesSettings
) -> list[Json]:
    database, schema = (
        (TEMPORAL, "temporal") if store == MAIN else (TEMPORAL_VISIBILITY, "visibility")
    )
    plain = {
        "SCHEMA_NAME": f"postgresql/v12/{schema}",
        "SQL_PLUGIN": SQL_PLUGIN,
        "SQL_HOST": layout.database_host,
        "SQL_PORT": str(layout.database_port),
        "SQL_USER": TEMPORAL,
        "SQL_DATABASE": database,
    }
    if settings.database_tls:
        plain |= {"SQL_TLS": "true", "SQL_TLS_SERVER_NAME": layout.database_host}
        if layout.foundation.database_ca:
            plain["SQL_TLS_CA_FILE"] = DATABASE_CA_FILE
    return [*_variables(plain), pods.from_secret("SQL_PASSWORD", files.secret, "password")]


def _search(layout: Layout) -> list[Json]:
    plain = {"ES_SERVER": layout.foundation.search, "ES_VISIBILITY_INDEX": VISIBILITY_INDEX}
    if layout.provider is Provider.AWS:
        plain |= {"AWS_CREDENTIALS": "aws-sdk-default", "AWS_REGION": layout.foundation.region}
    return _variables(plain)


def _variables(values: dict[str, str]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in values.items()]
