"""A state with a lock, kept behind HTTP: what Terraform's backend `http` speaks."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class StateServer:
    """Every state that was written, by its path, and every lock that is held."""

    url: str = ""
    states: dict[str, bytes] = field(default_factory=dict)
    locks: dict[str, dict[str, Any]] = field(default_factory=dict)
    """As Terraform describes them: ID, Operation, Who, Created."""
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def backend(self, name: str) -> dict[str, str]:
        """Return the configuration of a backend whose state has this name."""
        address = f"{self.url}/{name}"
        return {
            "type": "http",
            "address": address,
            "lock_address": address,
            "unlock_address": address,
        }

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body."""
        with self._changing:
            match method:
                case "GET":
                    state = self.states.get(path)
                    return (404, b"") if state is None else (200, state)
                case "POST":
                    self.states[path] = body
                case "DELETE":
                    self.states.pop(path, None)
                case "LOCK":
                    if path in self.locks:
                        return 423, json.dumps(self.locks[path]).encode()
                    self.locks[path] = json.loads(body)
                case "UNLOCK":
                    self.locks.pop(path, None)
                case _:
                    return 405, b""
            return 200, b""


@contextlib.contextmanager
def running_state_server() -> Iterator[StateServer]:
    server = StateServer()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0].strip("/")
            status, answer = server.answer(self.command, path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = do_LOCK = do_UNLOCK = handle_any

        def log_message(self, format: str, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
