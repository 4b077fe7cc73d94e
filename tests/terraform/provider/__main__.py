"""A Terraform provider, started by Terraform: `python -m tests.terraform.provider <name> <folder>`.

It has the real schemas of the provider `name` and keeps what it makes in a file of `folder`.
"""

import os
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc
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
    # Made once for a folder: a key takes longer than all the rest.
    certificate = (folder / "provider.pem").read_bytes()
    port = server.add_secure_port(
        "127.0.0.1:0",
        grpc.ssl_server_credentials(
            [((folder / "provider-key.pem").read_bytes(), certificate)],
            root_certificates=os.environ.get("PLUGIN_CLIENT_CERT", "").encode() or None,
        ),
    )
    server.start()
    der = "".join(certificate.decode().splitlines()[1:-1])
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


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
