"""Everything that a cell is in a cluster, put together. Pure."""

from dataclasses import dataclass

from cells.release import SchemaStep, Software
from cells.runtime.kubernetes.documents import Json, text
from cells.runtime.kubernetes.layout import CellSecrets, Features, Layout
from cells.runtime.kubernetes.manifests import (
    configuration,
    ingress,
    jobs,
    monitoring,
    network,
    services,
    temporal,
)
from cells.runtime.kubernetes.manifests.naming import INGRESS, TEMPORAL, Service
from cells.runtime.kubernetes.manifests.temporal import TemporalFiles
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.runtime.kubernetes.temporal_config import dynamic_configuration, static_configuration


@dataclass(frozen=True)
class Manifests:
    """A cell with certain software, as objects of its cluster."""

    namespace: Json
    base: tuple[Json, ...]
    """What pods need, in the order in which it is applied."""
    deployments: dict[str, Json]
    """By component, in the order in which they are rolled out."""
    files: TemporalFiles

    @property
    def everything(self) -> tuple[Json, ...]:
        return (self.namespace, *self.base, *self.deployments.values())


def manifests(
    layout: Layout,
    software: Software,
    secrets: CellSecrets,
    features: Features,
    settings: KubernetesSettings,
) -> Manifests:
    """Return what a cell with this software is."""
    static = configuration.config_map(
        layout,
        "temporal-static",
        TEMPORAL,
        {"config.yaml": static_configuration(layout, settings)},
    )
    dynamic = dynamic_config_map(layout, software, settings)
    authorities = configuration.config_map(
        layout,
        "temporal-authorities",
        TEMPORAL,
        {"database.pem": layout.foundation.database_ca},
    )
    temporal_secret = configuration.temporal_secret(layout, secrets)
    ingress_secret = configuration.ingress_secret(layout, secrets)
    files = TemporalFiles(
        static=_name(static),
        dynamic=_name(dynamic),
        authorities=_name(authorities),
        secret=_name(temporal_secret),
    )
    ingress_files, ingress_deployment = ingress.objects(
        layout, software, secrets, _name(ingress_secret), features, settings
    )
    return Manifests(
        namespace=configuration.namespace(layout),
        base=(
            *configuration.service_accounts(layout),
            # Before there are pods.
            *network.policies(layout, settings),
            static,
            dynamic,
            authorities,
            temporal_secret,
            *ingress_files,
            ingress_secret,
            *services.balanced(layout, settings),
            *services.inner(layout),
            temporal.headless_metrics(layout),
            *(
                temporal.disruption_budget(layout, component, features)
                for component in (*Service, INGRESS)
            ),
            *monitoring.monitors(layout, features),
        ),
        deployments={
            **{
                service.value: temporal.deployment(
                    layout, service, software.server_version, files, features, settings
                )
                for service in Service
            },
            INGRESS: ingress_deployment,
        },
        files=files,
    )


def dynamic_config_map(layout: Layout, software: Software, settings: KubernetesSettings) -> Json:
    """Return the dynamic configuration that a cell with this software has."""
    content = dynamic_configuration(software.configuration, settings)
    return configuration.config_map(layout, "temporal-dynamic", TEMPORAL, {"dynamic.yaml": content})


def newest_schema(
    layout: Layout, server_version: str, files: TemporalFiles, settings: KubernetesSettings
) -> list[Json]:
    """Return what brings stores to the newest schema that a server knows."""
    return [
        jobs.schema_job(layout, store, "", server_version, files, settings) for store in jobs.STORES
    ]


def schema_step(
    layout: Layout,
    step: SchemaStep,
    server_version: str,
    files: TemporalFiles,
    settings: KubernetesSettings,
) -> Json:
    """Return what takes one step, with the tools of the server that it is for."""
    return jobs.schema_job(layout, step.store, step.version, server_version, files, settings)


def _name(document: Json) -> str:
    return text(document, "metadata", "name")
