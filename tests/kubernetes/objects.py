"""What a node reads of a pod, and what is read of Services and Endpoints: the rest is ignored."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Object(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Metadata(_Object):
    name: str
    namespace: str = ""
    uid: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: list[str] = []
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None


class Key(_Object):
    """One entry of a Secret or a ConfigMap."""

    name: str
    key: str
    optional: bool = False


class FieldRef(_Object):
    field_path: str


class ResourceFieldRef(_Object):
    container_name: str = ""
    resource: str
    divisor: str = "1"


class ValueFrom(_Object):
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    secret_key_ref: Key | None = None
    config_map_key_ref: Key | None = None


class Variable(_Object):
    name: str
    value: str = ""
    value_from: ValueFrom | None = None


class Reference(_Object):
    name: str
    optional: bool = False


class VariablesFrom(_Object):
    prefix: str = ""
    secret_ref: Reference | None = None
    config_map_ref: Reference | None = None


class ContainerPort(_Object):
    container_port: int
    name: str = ""


class Exec(_Object):
    command: list[str] = []


class HttpGet(_Object):
    path: str = "/"
    port: int | str
    scheme: str = "HTTP"


class TcpSocket(_Object):
    port: int | str


class Grpc(_Object):
    port: int
    service: str = ""


class Handler(_Object):
    """What is done in a container: exactly one of these."""

    exec: Exec | None = None
    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    grpc: Grpc | None = None


class Probe(Handler):
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Lifecycle(_Object):
    pre_stop: Handler | None = None


class Mount(_Object):
    name: str
    mount_path: str
    sub_path: str = ""


class Resources(_Object):
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class Container(_Object):
    name: str
    image: str
    command: list[str] = []
    args: list[str] = []
    env: list[Variable] = []
    env_from: list[VariablesFrom] = []
    ports: list[ContainerPort] = []
    volume_mounts: list[Mount] = []
    resources: Resources = Resources()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle = Lifecycle()
    termination_message_policy: str = "File"


class Item(_Object):
    """Which entry becomes which file."""

    key: str = ""
    path: str
    field_ref: FieldRef | None = None


class Files(_Object):
    """Entries of a Secret or a ConfigMap as files."""

    name: str = Field("", alias="name")
    secret_name: str = ""
    items: list[Item] = []
    optional: bool = False


class TokenFile(_Object):
    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class Source(_Object):
    """What files of a volume come from: at most one of these."""

    secret: Files | None = None
    config_map: Files | None = None
    downward_api: "DownwardApi | None" = Field(None, alias="downwardAPI")


class DownwardApi(_Object):
    items: list[Item] = []


class ProjectedSource(Source):
    service_account_token: TokenFile | None = None


class Projected(_Object):
    sources: list[ProjectedSource] = []


class EmptyDir(_Object):
    pass


class Volume(Source):
    name: str
    projected: Projected | None = None
    empty_dir: EmptyDir | None = None


class PodSpec(_Object):
    containers: list[Container]
    init_containers: list[Container] = []
    volumes: list[Volume] = []
    node_name: str = ""
    service_account_name: str = "default"
    restart_policy: str = "Always"


class Pod(_Object):
    metadata: Metadata
    spec: PodSpec

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.metadata.namespace}/pods/{self.metadata.name}"


class ServicePort(_Object):
    name: str = ""
    port: int


class ServiceSpec(_Object):
    type: str = "ClusterIP"
    ports: list[ServicePort] = []


class Service(_Object):
    metadata: Metadata
    spec: ServiceSpec

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.metadata.namespace}/services/{self.metadata.name}"


class TargetRef(_Object):
    uid: str = ""


class EndpointAddress(_Object):
    ip: str
    target_ref: TargetRef | None = None


class EndpointPort(_Object):
    name: str = ""
    port: int


class Subset(_Object):
    addresses: list[EndpointAddress] = []
    ports: list[EndpointPort] = []


class Endpoints(_Object):
    metadata: Metadata
    subsets: list[Subset] = []
