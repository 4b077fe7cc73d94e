"""Pages of a list: sizes within limits, and tokens that say where the next page begins."""

import base64
import binascii

from controlplane.errors import invalid_argument

DEFAULT_PAGE_SIZE = 100
LARGEST_PAGE_SIZE = 1000


def page_size(asked: int) -> int:
    """Return how many entries to answer with: 0 is the default, too many are the most allowed."""
    if asked < 0:
        raise invalid_argument(f"page_size {asked} is negative: send 1 to {LARGEST_PAGE_SIZE}")
    return min(asked or DEFAULT_PAGE_SIZE, LARGEST_PAGE_SIZE)


def page_token(listing: str, after: str) -> str:
    """Return the token of the page that begins after the entry `after` of a listing."""
    return base64.urlsafe_b64encode(f"1\0{listing}\0{after}".encode()).decode()


def page_start(listing: str, token: str) -> str:
    """Return the entry after which the token's page begins; "" for the first page."""
    if not token:
        return ""
    try:
        decoded = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise foreign(token) from None
    version, _, rest = decoded.partition("\0")
    of, _, after = rest.partition("\0")
    if version != "1" or of != listing or not after or "\0" in after:
        raise foreign(token)
    return after


def foreign(token: str) -> Exception:
    """Return the refusal of a token that is not of the list it was sent for."""
    return invalid_argument(
        f"page_token {token[:100]!r} does not belong to this list: send the next_page_token of "
        "the page before with the same filter, or none for the first page"
    )
