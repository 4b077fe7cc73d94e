"""A stand-in for AWS in a process of its own: moto, made honest, behind one door.

    python -m tests.clouds.aws.server

prints where it listens as JSON, and ends when its standard input does. Requests are answered one
at a time, because moto is not made for more: of sixteen that create one cluster, three succeed.
What goes wrong on demand goes wrong at the door. Tests steer it by POST to /_stand-in/<what>.
"""

import calendar
import contextlib
import io
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlencode

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import (
    BackendRequest,
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from tests.clouds.aws import honest_accounts, honest_services, narrowing
from tests.clouds.aws.faults import (
    RETRY_AFTER_SECONDS,
    SLOW_SECONDS,
    STEERING,
    Fault,
    Faults,
    Kind,
    refusal,
)
from tests.clouds.aws.honest_accounts import WORLD, World, session_of
from tests.clouds.aws.names import NameServer
from tests.clouds.aws.operations import Operation, error_body, operation_of

_LONGEST_SIGNATURE_SECONDS = 900


class StandIn:
    """The door: a WSGI application."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._one_at_a_time = threading.Lock()
        self._faults = Faults()
        self._calls: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "X-Amz-Signature=" in environ.get("QUERY_STRING", ""):
            return self._presigned(environ)(environ, start_response)
        request = BackendRequest(environ)
        request.get_data(cache=True)
        if request.path.startswith(STEERING):
            return self._steered(request)(environ, start_response)
        operation = operation_of(request)
        if operation is None:
            return self._answered(request)(environ, start_response)
        session = session_of(operation.access_key) or operation.form.get("RoleSessionName", "")
        self._calls.append({"operation": str(operation), "session": session})
        fault = self._faults.next(str(operation), session)
        match fault:
            case Kind.RESET:
                _cut(environ)
            case Kind.SLOW:
                time.sleep(SLOW_SECONDS)
            case Kind.THROTTLE | Kind.ERROR | Kind.DENIED | Kind.QUOTA:
                return _refused(operation, request, fault)(environ, start_response)
            case Kind.LOST | None:
                pass
        answer = self._answered(request)
        if fault is Kind.LOST:
            _cut(environ)
        return answer(environ, start_response)

    def _answered(self, request: BackendRequest) -> Response:
        # Read before, for the operation: moto reads it again.
        environ = {**request.environ, "wsgi.input": io.BytesIO(request.get_data())}
        with self._one_at_a_time:
            return Response.from_app(self._moto, environ, buffered=True)

    def _presigned(self, environ: dict[str, Any]) -> Response:
        """Answer a signed question to STS that came as a URL, which moto would take for S3's."""
        request = BackendRequest(environ)
        query = {
            name: values[0] for name, values in parse_qs(request.query_string.decode()).items()
        }
        refused = _flaw(request, query)
        if refused:
            return Response(json.dumps({"Error": refused}), HTTPStatus.FORBIDDEN)
        scope = query["X-Amz-Credential"]
        headers = {
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, "
            "Signature=checked",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "REQUEST_METHOD": "POST",
            "QUERY_STRING": "",
        }
        body = urlencode({"Action": query["Action"], "Version": query["Version"]}).encode()
        asked = BackendRequest({**environ, **headers, "CONTENT_LENGTH": str(len(body))})
        asked._cached_data = body
        return self._answered(asked)

    def _steered(self, request: BackendRequest) -> Response:
        told = json.loads(request.get_data() or b"null")
        match request.path.removeprefix(STEERING):
            case "faults":
                for fault in told:
                    self._faults.add(Fault.from_wire(fault))
            case "fired":
                return Response(json.dumps(self._faults.fired(told)))
            case "calls":
                return Response(json.dumps(self._calls))
            case "quiet":
                self._faults.clear()
                self._calls.clear()
            case "world":
                for name, value in told.items():
                    setattr(WORLD, name, value)
            case "cluster":
                honest_services.has_cluster(**told)
            case "enforce":
                settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if told else float("inf")
            case "reset":
                self._reset()
            case unknown:
                return Response(f"no such thing: {unknown}", HTTPStatus.NOT_FOUND)
        return Response("null")

    def _reset(self) -> None:
        with self._one_at_a_time:
            settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
            ActionAuthenticatorMixin.request_count = 0
            moto_api_backend.reset()
            WORLD.__dict__.update(World().__dict__)
            honest_services.CHANGES.clear()
            self._faults.clear()
            self._calls.clear()


def _flaw(request: BackendRequest, query: dict[str, str]) -> str:
    """Return what is wrong with a presigned question; empty when nothing is."""
    key, _, region, service, _ = query["X-Amz-Credential"].split("/")
    secret = honest_accounts.secret_of(key)
    if secret is None or query.get("X-Amz-Security-Token") != secret[1]:
        return "InvalidClientTokenId"
    signed_at = time.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    age = time.time() - calendar.timegm(signed_at)
    if age > min(int(query["X-Amz-Expires"]), _LONGEST_SIGNATURE_SECONDS):
        return "RequestExpired"
    bare = "&".join(
        part for part in request.query_string.decode().split("&") if "X-Amz-Signature" not in part
    )
    names = query["X-Amz-SignedHeaders"].split(";")
    asked = AWSRequest(
        "GET",
        f"{request.host_url}?{bare}",
        headers={name: request.headers.get(name, "") for name in names},
    )
    asked.context["timestamp"] = query["X-Amz-Date"]
    auth = SigV4QueryAuth(Credentials(key, *secret), service, region)
    expected = auth.signature(auth.string_to_sign(asked, auth.canonical_request(asked)), asked)
    return "" if expected == query["X-Amz-Signature"] else "SignatureDoesNotMatch"


def _refused(operation: Operation, request: BackendRequest, kind: Kind) -> Response:
    status, code, message, reason = refusal(kind, operation.service)
    if kind is Kind.DENIED:
        message = f"User {message} to perform: {operation}"
    content_type, body = error_body(operation, request, code, message, reason)
    headers = {"x-amzn-errortype": code}
    if kind is Kind.THROTTLE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return Response(body, status, headers, content_type=content_type)


def _cut(environ: dict[str, Any]) -> None:
    """Reset the connection, so that the caller does not hear what became of its call."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("cut on demand")


class _Quiet(MotoRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    honest_accounts.install()
    honest_services.install()
    narrowing.install()
    names = NameServer()
    threading.Thread(target=names.serve_forever, daemon=True).start()
    server = make_server("127.0.0.1", 0, StandIn(), threaded=True, request_handler=_Quiet)
    threading.Thread(target=_end_with_whoever_started_it, daemon=True).start()
    told = {"port": server.server_port, "names": names.server_address[1]}
    print(json.dumps(told), flush=True)
    server.serve_forever()


def _end_with_whoever_started_it() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
