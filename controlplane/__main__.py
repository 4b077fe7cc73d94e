"""The `controlplane` command."""

import contextlib
import os
import sys


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    # Child processes are other programs: gRPC has nothing to keep alive across a fork, nor to say.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    from controlplane.cli.app import build

    code = 0
    try:
        build()()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:  # noqa: BLE001 - shown as Python itself would show it
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
    # Temporal's client works in threads of its own. Before Python 3.14, tearing the interpreter
    # down while one of them returns to it crashes the process, its work done and its output
    # written (https://github.com/temporalio/sdk-python/issues/300). So nothing is torn down.
    os._exit(code)


if __name__ == "__main__":
    main()
