import ast
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.cloud.namespace.v1 import (
    ApiKeyAuthSpec,
    CertificateFilterSpec,
    Endpoints,
    MtlsAuthSpec,
    Namespace,
    NamespaceSpec,
)
from temporalio.envconfig import ClientConfigProfile

from controlplane.cli.failures import CommandFailed
from controlplane.cli.worker_connection import (
    WorkerConnection,
    as_exports,
    as_json,
    environment,
    worker_connection,
)
from controlplane.cli.worker_snippets import as_text
from provisioning.certificates.x509 import fingerprint, issue_client, new_ca

CA = new_ca("orders-ca", validity=timedelta(days=30))
CLIENT = issue_client(CA, "worker", validity=timedelta(days=3))


def orders(endpoint: str) -> Namespace:
    return Namespace(
        namespace="orders.acme1",
        endpoints=Endpoints(mtls_grpc_address=endpoint),
        spec=NamespaceSpec(
            mtls_auth=MtlsAuthSpec(
                enabled=True,
                accepted_client_ca=CA.certificate_pem,
                certificate_filters=[CertificateFilterSpec(common_name="worker*")],
            )
        ),
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    # A folder that only a quoted path survives.
    folder = tmp_path / "a folder"
    folder.mkdir()
    ca, certificate, key = folder / "ca.pem", folder / "worker.pem", folder / "worker.key"
    ca.write_bytes(CA.certificate_pem)
    certificate.write_bytes(CLIENT.certificate_pem)
    key.write_bytes(CLIENT.key_pem)
    return ca, certificate, key


@pytest.fixture
def local(files: tuple[Path, Path, Path]) -> WorkerConnection:
    return worker_connection(orders("orders.acme1.fleet.test:21443"), *files)


def test_a_name_no_resolver_knows_is_dialled_on_this_machine_and_sent_as_server_name(
    local: WorkerConnection,
) -> None:
    assert local.address == "127.0.0.1:21443"
    assert local.server_name == "orders.acme1.fleet.test"


def test_a_name_of_a_real_zone_is_dialled_as_it_is() -> None:
    real = worker_connection(orders("orders.acme1.cells.example.com:7233"), None, None, None)

    assert real.address == "orders.acme1.cells.example.com:7233"
    assert real.server_name == "orders.acme1.cells.example.com"


def test_sdks_read_the_same_connection_from_the_environment(local: WorkerConnection) -> None:
    exports = subprocess.run(
        ["/bin/sh", "-c", f"{as_exports(local)}\nexec {sys.executable} -c '{PRINT_ENVIRONMENT}'"],
        check=True,
        capture_output=True,
        text=True,
        env={},
    )
    profile = ClientConfigProfile.load(override_env_vars=json.loads(exports.stdout))

    config = profile.to_client_connect_config()

    assert config["target_host"] == "127.0.0.1:21443"
    assert config["namespace"] == "orders.acme1"
    tls = config["tls"]
    assert not isinstance(tls, bool)
    assert tls.domain == "orders.acme1.fleet.test"
    assert tls.server_root_ca_cert == CA.certificate_pem
    assert tls.client_cert == CLIENT.certificate_pem
    assert tls.client_private_key == CLIENT.key_pem


PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


def test_exports_without_a_client_certificate_say_how_to_name_one() -> None:
    anonymous = worker_connection(orders("orders.acme1.fleet.test:21443"), None, None, None)

    assert "CLIENT_CERT_PATH" not in environment(anonymous)
    assert "name them with --client-cert and --client-key" in as_exports(anonymous)


def test_people_are_told_which_certificates_are_let_in(local: WorkerConnection) -> None:
    text = as_text(local)

    assert f"signed by CN=orders-ca (SHA-256 {fingerprint(CA.certificate)[:16]}" in text
    assert "common_name=worker*" in text


def test_the_python_snippet_is_python(local: WorkerConnection) -> None:
    snippet = as_text(local).split("Python SDK\n")[1].split("\n\nAny SDK")[0]
    code = "\n".join(line.removeprefix("  ") for line in snippet.splitlines())

    compile(code, "snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    assert 'domain="orders.acme1.fleet.test"' in code


def test_programs_get_the_same_facts_and_no_key(local: WorkerConnection) -> None:
    answer = json.dumps(as_json(local))

    assert json.loads(answer)["server_name"] == "orders.acme1.fleet.test"
    assert json.loads(answer)["accepted_authorities"][0]["subject"] == "CN=orders-ca"
    assert "PRIVATE KEY" not in answer


def test_a_namespace_without_an_endpoint_cannot_be_connected_to_yet() -> None:
    with pytest.raises(CommandFailed, match="no endpoint yet"):
        worker_connection(orders(""), None, None, None)


@pytest.fixture
def keyed() -> Namespace:
    """A namespace that lets clients in by API key alone."""
    return Namespace(
        namespace="orders.acme1",
        endpoints=Endpoints(grpc_address="orders.acme1.fleet.test:21443"),
        spec=NamespaceSpec(api_key_auth=ApiKeyAuthSpec(enabled=True)),
    )


def test_where_no_certificate_gets_in_the_api_key_is_named_and_never_held(
    keyed: Namespace,
) -> None:
    connection = worker_connection(keyed, None, None, None)

    assert connection.address == "127.0.0.1:21443"
    assert 'export TEMPORAL_API_KEY="${CONTROLPLANE_API_KEY:?' in as_exports(connection)
    assert 'TEMPORAL_API_KEY="$CONTROLPLANE_API_KEY" temporal' in as_text(connection)
    assert "client_cert" not in as_text(connection)
    assert "API_KEY" not in json.dumps(as_json(connection))


def test_a_way_that_lets_nobody_in_is_refused_with_the_one_that_does(
    keyed: Namespace, files: tuple[Path, Path, Path]
) -> None:
    with pytest.raises(CommandFailed, match="by certificate: connect with --with-api-key"):
        worker_connection(keyed, *files)
    with pytest.raises(CommandFailed, match="by API key: show a certificate"):
        worker_connection(orders("orders.acme1.fleet.test:1"), None, None, None, with_api_key=True)


def test_a_managed_ca_is_said_to_sign_the_certificates(keyed: Namespace) -> None:
    keyed.spec.mtls_auth.enabled = True
    keyed.endpoints.mtls_grpc_address = "orders.acme1.fleet.test:21443"

    text = as_text(worker_connection(keyed, None, None, None))

    assert "controlplane namespace cert issue orders.acme1" in text
