"""The real schemas of the providers aws and google, read once per machine and kept in a cache."""

import json
import tarfile
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.terraform import cdktn
from tests.terraform.tools import downloaded, kept

_LOCK = Path(__file__).parent / "schemas.lock"
_PARTS = {
    "TerraformResource": "resources",
    "TerraformDataSource": "data",
}


@dataclass(frozen=True)
class ProviderSchema:
    """What of a provider is served: its configuration, and the types that are asked for."""

    version: str
    configuration: cdktn.Block
    resources: dict[str, cdktn.Block]
    data: dict[str, cdktn.Block]


def provider_schema(provider: str, resources: Iterable[str], data: Iterable[str]) -> ProviderSchema:
    """Return the schemas of these types of `aws` or `google`; raise KeyError for an unknown one."""
    whole = json.loads((_kept() / f"{provider}.json").read_text())
    return ProviderSchema(
        version=whole["version"],
        configuration=whole["configuration"],
        resources={name: whole["resources"][name] for name in resources},
        data={name: whole["data"][name] for name in data},
    )


def _kept() -> Path:
    # Another way of reading them is another cache.
    made_of = _LOCK.read_bytes() + Path(cdktn.__file__).read_bytes() + Path(__file__).read_bytes()
    return kept("terraform-schemas", made_of, _make)


def _make(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        downloaded(_LOCK, Path(scratch))
        for wheel in Path(scratch).glob("cdktn_provider_*.whl"):
            provider = wheel.name.removeprefix("cdktn_provider_").split("-")[0]
            (folder / f"{provider}.json").write_text(json.dumps(_read(wheel)))


def _read(wheel: Path) -> dict[str, object]:
    """Return everything that a wheel tells of its provider."""
    schema: dict[str, dict[str, cdktn.Block]] = {"resources": {}, "data": {}}
    read: dict[str, object] = dict(schema)
    for javascript in _modules(wheel, read):
        try:
            found = cdktn.described(javascript)
        except (cdktn.Unreadable, KeyError, RecursionError):
            continue  # Asking for its type is a KeyError.
        if found.kind == "TerraformProvider":
            read["configuration"] = found.block
        else:
            schema[_PARTS[found.kind]][found.type] = found.block
    return read


def _modules(wheel: Path, read: dict[str, object]) -> Iterable[str]:
    """Return the JavaScript of each module, its structs first; note the provider's version."""
    sources: dict[str, dict[str, str]] = defaultdict(dict)
    with zipfile.ZipFile(wheel) as archive:
        (packed,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        with archive.open(packed) as stream, tarfile.open(fileobj=stream, mode="r|gz") as package:
            for member in package:
                file = package.extractfile(member)
                if file is None:
                    continue
                parts = Path(member.name).parts
                if parts == ("package", "package.json"):
                    described = json.loads(file.read())["cdktn"]["provider"]
                    read["version"] = described["version"]
                elif parts[:2] == ("package", "lib") and parts[-1].endswith(".js"):
                    sources[parts[2]]["/".join(parts[3:])] = file.read().decode()
    for files in sources.values():
        structs = [files[name] for name in sorted(files) if name.startswith("index-structs/")]
        if "index.js" in files:
            yield "\n".join([*structs, files["index.js"]])
