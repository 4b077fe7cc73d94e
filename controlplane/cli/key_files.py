"""A certificate and its private key as two files beside each other, readable by their owner."""

from dataclasses import dataclass
from pathlib import Path

from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.secrets import private_file
from provisioning.certificates.x509 import CertificateAndKey


@dataclass(frozen=True)
class KeyFiles:
    """Where a certificate and its key are."""

    certificate: Path
    key: Path

    @classmethod
    def called(cls, name: str, folder: Path) -> "KeyFiles":
        """Return the files of a certificate called `name`: `name.pem` and `name.key`."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise UsageError(f"{name!r} cannot be the name of a file, which --name also is")
        return cls(folder / f"{name}.pem", folder / f"{name}.key")

    def exist(self) -> bool:
        return self.certificate.exists() and self.key.exists()

    def read(self) -> CertificateAndKey:
        """Return what is in the files; raise CommandFailed when it is not a matching pair."""
        try:
            return CertificateAndKey.from_pem(self.certificate.read_bytes() + self.key.read_bytes())
        except OSError as error:
            raise CommandFailed(f"cannot read {error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise CommandFailed(
                f"{self.certificate} and {self.key} are not a certificate and its key in PEM: "
                f"{error}"
            ) from error

    def write(self, pair: CertificateAndKey) -> None:
        """Write both files, unless there is one already."""
        for file in (self.certificate, self.key):
            if file.exists():
                raise _in_the_way(file)
        # The key first: a certificate whose key was lost is of no use to anyone.
        for file, content in ((self.key, pair.key_pem), (self.certificate, pair.certificate_pem)):
            try:
                if not private_file.create(file, content):
                    raise _in_the_way(file)
            except OSError as error:
                raise CommandFailed(f"cannot write {file}: {error.strerror}") from error

    def replace(self, pair: CertificateAndKey) -> None:
        """Write both files, whatever they held."""
        try:
            private_file.replace(self.key, pair.key_pem)
            private_file.replace(self.certificate, pair.certificate_pem)
        except OSError as error:
            raise CommandFailed(f"cannot write {self.key}: {error.strerror}") from error


def _in_the_way(file: Path) -> CommandFailed:
    return CommandFailed(
        f"{file} exists. Choose another --name or --out, or replace it with --force"
    )
