"""The tags of a namespace: what they may look like, and how many there may be."""

from collections.abc import Collection, Mapping

from controlplane.api import limits
from controlplane.errors import invalid_argument


def check_tags(tags: Mapping[str, str], at_most: int) -> None:
    """Raise `invalid_argument` unless a namespace may have just these tags."""
    _check_form(tags)
    if len(tags) > at_most:
        raise _too_many(len(tags), at_most)


def check_tag_change(
    present: Mapping[str, str], upsert: Mapping[str, str], remove: Collection[str], at_most: int
) -> None:
    """Raise `invalid_argument` unless the present tags may be changed so."""
    if not upsert and not remove:
        raise invalid_argument(
            "nothing to change: send tags in tags_to_upsert, or keys of tags in tags_to_remove"
        )
    if both := sorted(upsert.keys() & set(remove)):
        raise invalid_argument(
            f"tag {both[0][:100]!r} is in tags_to_upsert and in tags_to_remove: decide for one"
        )
    _check_form(upsert)
    count = len((present.keys() - set(remove)) | upsert.keys())
    # Fewer are fine even where the limit was lowered below what is there.
    if count > at_most and count >= len(present):
        raise _too_many(count, at_most)


def _check_form(tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        for what, text in (("a tag's key", key), (f"the value of tag {key[:100]!r}", value)):
            if not limits.TAG.fullmatch(text):
                raise invalid_argument(
                    f"{what} cannot be {text[:100]!r}: use 1 to 63 lower-case letters, digits, "
                    "`.`, `_`, `-` and `@`"
                )


def _too_many(count: int, at_most: int) -> Exception:
    return invalid_argument(
        f"the namespace would have {count} tags; at most {at_most} are allowed: remove some"
    )
