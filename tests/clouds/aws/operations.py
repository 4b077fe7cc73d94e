"""Which operation of AWS a request is, and how its service writes errors."""

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.core.routing import get_service_router
from moto.moto_server.werkzeug_app import BackendRequest

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/")
_LIBRARY_NAMES = {"es": "opensearch"}
"""By name in signatures: what boto3 calls the service, where that is something else."""
_PERMISSION_PREFIXES = {"tagging": "tag"}


@dataclass(frozen=True)
class Operation:
    service: str
    """As in the names of permissions."""
    name: str
    access_key: str
    form: dict[str, str]
    """What the request says, where its service takes forms."""

    def __str__(self) -> str:
        return f"{self.service}:{self.name}"


def operation_of(request: BackendRequest) -> Operation | None:
    """Return what is asked, or None when it is not asked of AWS."""
    scope = _SCOPE.search(request.headers.get("Authorization", ""))
    if scope is None:
        return None
    service = scope["service"]
    body = request.get_data(cache=True).decode("latin-1")
    form: dict[str, str] = {}
    if (request.content_type or "").startswith("application/x-www-form-urlencoded"):
        form = {name: values[0] for name, values in parse_qs(body).items()}
    target = request.headers.get("X-Amz-Target")
    if target:
        name = target.rpartition(".")[2]
    elif "Action" in form:
        name = form["Action"]
    else:
        found, _ = get_service_router(_LIBRARY_NAMES.get(service, service)).match(request)
        name = found.name
    prefix = _PERMISSION_PREFIXES.get(service, service)
    return Operation(prefix, name, scope["key"], form)


def error_body(
    operation: Operation, request: BackendRequest, code: str, message: str, reason: str
) -> tuple[str, str]:
    """Return content type and body of an error, as the operation's service writes it."""
    if operation.service == "ec2":
        return "text/xml", (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message>"
            "</Error></Errors><RequestID>stand-in</RequestID></Response>"
        )
    if operation.service == "s3":
        return "application/xml", (
            f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        )
    if operation.form or operation.service == "route53":
        return "text/xml", (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
            f"<Message>{escape(message)}</Message></Error><RequestId>stand-in</RequestId>"
            "</ErrorResponse>"
        )
    told = {"__type": code, "message": message, "Message": message}
    if reason:
        told["Reason"] = reason
    kind = "application/x-amz-json-1.1" if request.headers.get("X-Amz-Target") else ""
    return kind or "application/json", json.dumps(told)
