"""What Temporal's client says when it cannot connect, for people."""

import re

_CAUSE = re.compile(r'(?:error|message): (?:"([^"]+)"|(\w+\(\w+\)))')


def innermost_cause(error: RuntimeError) -> str:
    """Return the last of the causes that the client nests into its message."""
    causes = _CAUSE.findall(str(error))
    return "".join(causes[-1]) if causes else str(error)
