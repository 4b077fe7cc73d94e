"""The nodes that tests run pods on."""

import base64

import httpx
import psycopg
import pytest
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client

from controlplane.local.ports import LOOPBACK, free_port
from controlplane.local.temporal_server import bundled_version
from tests.eventually import eventually
from tests.kubernetes.api import Json
from tests.kubernetes.workloads import WEB, WEB_PORT, Space
from tests.postgres import RunningPostgres


async def fetch(port: int, path: str = "") -> str | None:
    """Return what is served there; None if nobody serves."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        try:
            return (await client.get(f"http://{LOOPBACK}:{port}/{path}")).text
        except httpx.HTTPError:
            return None


async def test_a_changed_secret_reaches_the_files_of_pods_and_variables_do_not_change(
    space: Space,
) -> None:
    await space.create("secrets", "greeting", stringData={"text": "hello"})
    volumes = [{"name": "files", "secret": {"secretName": "greeting"}}]
    from_secret = {"secretKeyRef": {"name": "greeting", "key": "text"}}
    from_pod = {"fieldRef": {"fieldPath": "metadata.namespace"}}
    from_resources = {"resourceFieldRef": {"resource": "requests.cpu"}}
    container = {
        **WEB,
        "args": [
            'mkdir $SERVED/made; echo "$SENTENCE" > $SERVED/made/sentence; '
            "exec python -m http.server ${LISTEN##*:} --bind 127.0.0.1 --directory $SERVED"
        ],
        "resources": {"requests": {"cpu": "1500m"}},
        "env": [
            *WEB["env"],
            {"name": "SERVED", "value": "/files"},
            {"name": "GREETING", "valueFrom": from_secret},
            {"name": "WHERE", "valueFrom": from_pod},
            {"name": "PROCESSORS", "valueFrom": from_resources},
            {"name": "SENTENCE", "value": "$(GREETING) from $(WHERE), $(PROCESSORS), $(NOBODY)"},
        ],
    }
    await space.deploy("web", container, volumes)
    await space.until_rolled_out("web")
    (pod,) = await space.pods()
    port = space.cluster.kubelet.port(pod["metadata"]["uid"], WEB_PORT)
    assert port is not None
    assert await fetch(port, "text") == "hello"

    data = {"text": base64.b64encode(b"good-bye").decode()}
    await space.api.patch(space.path("secrets", "greeting"), {"data": data})

    async def says_good_bye() -> bool:
        return await fetch(port, "text") == "good-bye"

    await eventually(says_good_bye, every=0.2)
    sentence = await fetch(port, "made/sentence")
    assert sentence == f"hello from {space.name}, 2, $(NOBODY)\n"


async def test_a_load_balancer_leads_to_ready_pods_alone_and_its_service_waits_for_its_end(
    space: Space,
) -> None:
    await space.create("configmaps", "page", data={"index.html": "here"})
    port = free_port()
    await space.create(
        "services",
        "web",
        spec={
            "type": "LoadBalancer",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": port, "targetPort": "http"}],
        },
    )

    async def has_address() -> bool:
        status = (await space.get("services", "web"))["status"]
        return bool(status["loadBalancer"] == {"ingress": [{"ip": LOOPBACK}]})

    await eventually(has_address)
    assert await fetch(port) is None
    unready = {**WEB, "readinessProbe": {"exec": {"command": ["test", "-e", "/files/ready"]}}}
    volumes = [{"name": "files", "configMap": {"name": "page"}}]
    await space.deploy("web", unready, volumes)

    async def serves_unready() -> bool:
        pods = await space.pods()
        here = [space.cluster.kubelet.port(pod["metadata"]["uid"], WEB_PORT) for pod in pods]
        return [await fetch(port) for port in here if port is not None] == ["here"]

    async def is_left_out() -> bool:
        subsets = (await space.get("endpoints", "web")).get("subsets", [])
        return ["notReadyAddresses" in subset for subset in subsets] == [True]

    await eventually(serves_unready)
    await eventually(is_left_out)
    assert await fetch(port) is None

    await space.api.patch(space.path("configmaps", "page"), {"data": {"ready": "yes"}})

    async def serves() -> bool:
        return await fetch(port) == "here"

    await eventually(serves, every=0.2)
    assert await fetch(space.cluster.kubelet.service(space.name, "web", port)) == "here"
    await space.api.delete(space.path("services", "web"), {})

    async def is_gone() -> bool:
        services = (await space.api.get(space.path("services")))["items"]
        return not services and await fetch(port) is None

    await eventually(is_gone)


async def test_a_job_runs_to_its_end_after_what_comes_before_it(space: Space) -> None:
    volumes: list[Json] = [{"name": "shared", "emptyDir": {}}]
    mounts = [{"name": "shared", "mountPath": "/shared"}]

    def container(name: str, script: str) -> Json:
        return {
            "name": name,
            "image": "busybox:1",
            "command": ["sh", "-ec", script],
            "volumeMounts": mounts,
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }

    async def run(name: str, before: str, script: str) -> Json:
        spec: Json = {
            "restartPolicy": "Never",
            "initContainers": [container("before", before)],
            "containers": [container("it", script)],
            "volumes": volumes,
        }
        await space.create("jobs", name, spec={"backoffLimit": 0, "template": {"spec": spec}})

        async def is_over() -> bool:
            return bool((await space.get("jobs", name))["status"].get("conditions"))

        await eventually(is_over, every=0.2)
        status: Json = (await space.get("jobs", name))["status"]
        return status

    good = await run("good", "echo made > /shared/file", "grep made /shared/file")
    assert good["succeeded"] == 1
    bad = await run("bad", "true", "echo no such luck >&2; exit 3")
    assert bad["conditions"][0]["type"] == "Failed"
    (ended,) = (
        pod["status"]["containerStatuses"][0]["state"]["terminated"]
        for pod in await space.pods()
        if pod["metadata"]["labels"]["job-name"] == "bad"
    )
    assert (ended["exitCode"], ended["message"]) == (3, "no such luck")


@pytest.mark.parametrize(
    ("container", "reason", "named"),
    [
        ({"image": "nobody/knows:1"}, "ImagePullBackOff", "nobody/knows"),
        ({"image": "temporalio/server:0.0.1"}, "ImagePullBackOff", "0.0.1"),
        (
            {"image": "busybox", "envFrom": [{"secretRef": {"name": "missing"}}]},
            "CreateContainerConfigError",
            "missing",
        ),
        ({"image": "busybox", "command": ["false"]}, "CrashLoopBackOff", "back-off"),
    ],
    ids=["unknown image", "unknown version", "missing secret", "crash"],
)
async def test_a_pod_says_why_it_does_not_start(
    space: Space, container: Json, reason: str, named: str
) -> None:
    pod = {"containers": [{"name": "it", **container}]}
    await space.create("pods", "it", spec=pod)

    status = await space.until_waiting(reason)

    assert named in status["containerStatuses"][0]["state"]["waiting"]["message"]
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "False"


async def test_a_temporal_server_is_rolled_out_and_one_that_crashes_replaces_nobody(
    space: Space,
) -> None:
    version = await bundled_version()
    dynamic = {"dynamic.yaml": "frontend.rps: [{value: 5000}]"}
    config = {"config.yaml": "dynamicConfigClient: {filepath: /etc/temporal/dynamic.yaml}"}
    await space.create("configmaps", "temporal", data={**config, **dynamic})
    volumes = [{"name": "config", "configMap": {"name": "temporal"}}]
    server: Json = {
        "name": "temporal",
        "image": f"temporalio/server:{version}",
        "command": ["temporal-server"],
        "args": ["--config-file=/etc/temporal/config.yaml", "start", "--service=frontend"],
        "ports": [
            {"name": "rpc", "containerPort": 7233},
            {"name": "metrics", "containerPort": 9090},
        ],
        "readinessProbe": {"tcpSocket": {"port": "rpc"}, "periodSeconds": 5},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/temporal"}],
    }
    await space.create(
        "services", "frontend", spec={"selector": {"app": "frontend"}, "ports": [{"port": 7233}]}
    )
    await space.deploy("frontend", server, volumes)
    await space.until_rolled_out("frontend")
    address = f"{LOOPBACK}:{space.cluster.kubelet.service(space.name, 'frontend', 7233)}"
    assert await server_version(address) == version
    (first,) = await space.pods()

    await space.deploy("frontend", {**server, "env": [{"name": "CHANGED", "value": "1"}]}, volumes)
    await space.until_rolled_out("frontend")
    assert await server_version(address) == version

    bad = {**server, "args": [*server["args"], "--no-such-flag"]}
    await space.deploy("frontend", bad, volumes, progressDeadlineSeconds=5)
    status = await space.until_waiting("CrashLoopBackOff")

    async def deadline_exceeded() -> bool:
        deployment = await space.get("deployments", "frontend")
        reasons = {c["reason"] for c in deployment["status"]["conditions"]}
        return "ProgressDeadlineExceeded" in reasons

    await eventually(deadline_exceeded, every=0.2)
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 2
    deployment = await space.get("deployments", "frontend")
    assert deployment["status"]["availableReplicas"] == 1
    assert await server_version(address) == version
    assert first["metadata"]["name"] not in {p["metadata"]["name"] for p in await space.pods()}


async def test_a_schema_job_writes_the_version_into_the_real_database(
    space: Space, postgres: RunningPostgres
) -> None:
    database = await postgres.create_database("schema")
    await space.create("secrets", "database", stringData={"password": database.password})
    script = (
        "temporal-sql-tool setup-schema -v 0.0; "
        "temporal-sql-tool update-schema -s postgresql/v12/temporal"
    )
    env = {"SQL_HOST": LOOPBACK, "SQL_PORT": str(postgres.server.port)}
    env |= {"SQL_USER": database.owner, "SQL_DATABASE": database.name}
    env |= {"SQL_PLUGIN": "postgres12_pgx"}
    password = {"secretKeyRef": {"name": "database", "key": "password"}}
    container = {
        "name": "schema",
        "image": f"temporalio/admin-tools:{await bundled_version()}",
        "command": ["sh", "-ec", f"{script}; {script}"],
        "env": [
            *({"name": name, "value": value} for name, value in env.items()),
            {"name": "SQL_PASSWORD", "valueFrom": password},
        ],
    }
    spec = {"restartPolicy": "Never", "containers": [container]}
    await space.create("jobs", "schema", spec={"backoffLimit": 0, "template": {"spec": spec}})

    async def succeeded() -> bool:
        status = (await space.get("jobs", "schema"))["status"]
        assert not status.get("failed"), await space.pods()
        return bool(status.get("succeeded") == 1)

    await eventually(succeeded, every=0.2)
    assert await versions(database.conninfo) == [("1.19", "1.19")]


async def server_version(address: str) -> str:
    client = await Client.connect(address)
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    return info.server_version


async def versions(conninfo: str) -> list[tuple[str, ...]]:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        found = await connection.execute(
            "SELECT curr_version, min_compatible_version FROM schema_version"
        )
        return await found.fetchall()
