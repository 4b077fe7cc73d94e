"""A Terraform provider, started by Terraform: `python -m tests.terraform.provider <name> <folder>`.

It has the real schemas of the provider `name` and keeps what it makes in a file of `folder`.
"""

import base64
import os
import sys
import threading
from concurrent import futures
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tf.gen import grpc_controller_pb2 as controller
from tf.gen import grpc_controller_pb2_grpc as controller_rpc
from tf.gen import grpc_stdio_pb2_grpc as stdio_rpc
from tf.gen import tfplugin_pb2_grpc as provider_rpc

from tests.terraform.provider.pretended_cloud import PretendedCloud
from tests.terraform.provider.service import Provider

_MESSAGE_BYTES = 256 << 20
_WATCH_SECONDS = 0.2


def main(name: str, folder: Path) -> None:
    """Serve one Terraform until it says that it is done, or is dead."""
    if "TF_PLUGIN_MAGIC_COOKIE" not in os.environ:
        sys.exit("this is a Terraform provider: it is started by Terraform")
    done = threading.Event()
    size = (
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        (
            "grpc.max_receive_message_length",
            _MESSAGE_BYTES,
        ),
    )
    server = grpc.server(futures.ThreadPoolExecutor(24), options=size)
    provider_rpc.add_ProviderServicer_to_server(
        Provider(folder / f"{name}.json", PretendedCloud(folder)), server
    )
    controller_rpc.add_GRPCControllerServicer_to_server(_Controller(done), server)
    stdio_rpc.add_GRPCStdioServicer_to_server(_Stdio(done), server)
    key, certificate = _certificate()
    port = server.add_secure_port(
        "127.0.0.1:0",
        grpc.ssl_server_credentials(
            [(key, certificate.public_bytes(serialization.Encoding.PEM))],
            root_certificates=os.environ.get("PLUGIN_CLIENT_CERT", "").encode() or None,
        ),
    )
    server.start()
    der = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    print(f"1|6|tcp|127.0.0.1:{port}|grpc|{der.rstrip('=')}", flush=True)
    terraform = os.getppid()
    while not done.wait(_WATCH_SECONDS):
        if os.getppid() != terraform:
            os._exit(1)
    server.stop(grace=0.2)


class _Controller(controller_rpc.GRPCControllerServicer):  # type: ignore[misc]  # Generated.
    def __init__(self, done: threading.Event) -> None:
        self._done = done

    def Shutdown(self, _request: object, _context: object) -> object:
        self._done.set()
        return controller.Empty()


class _Stdio(stdio_rpc.GRPCStdioServicer):  # type: ignore[misc]  # Generated.
    def __init__(self, done: threading.Event) -> None:
        self._done = done

    def StreamStdio(self, _request: object, _context: object) -> object:
        self._done.wait()
        return iter([])


def _certificate() -> tuple[bytes, x509.Certificate]:
    """Return a key in PEM and a certificate for the one connection to this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, certificate


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
