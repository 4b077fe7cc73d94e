"""What Terraform says, without the secrets it was given."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

_HIDDEN = "[hidden]"
_SHORTEST = 6
"""A value of fewer characters is in every other word, and protects nothing."""
_HARMLESS = re.compile(
    r"(REGION|ZONE|PROJECT|ENDPOINTS?|RETRY_MODE|MAX_ATTEMPTS)$|^AWS_ENDPOINT_URL"
)


@dataclass(frozen=True)
class Hidden:
    """Text for everybody, from text for us."""

    _secrets: tuple[str, ...]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Hidden":
        """Hide every value of this environment, but what is known to be no secret."""
        secrets = {
            written
            for name, value in environment.items()
            if len(value) >= _SHORTEST and not _HARMLESS.search(name)
            for written in (value, quote(value, safe=""))
        }
        # The longest first: one may be a part of another.
        return cls(tuple(sorted(secrets, key=len, reverse=True)))

    def in_text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text
