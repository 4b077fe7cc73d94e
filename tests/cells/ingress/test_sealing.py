import pytest

from cells.ingress.sealing import (
    SealBroken,
    new_key,
    open_sealed,
    private_key_context,
    seal,
)

KEY = new_key()


def test_what_was_sealed_can_be_opened() -> None:
    assert open_sealed(KEY, seal(KEY, b"secret", "a/1"), "a/1") == b"secret"


def test_a_seal_hides_its_content_and_never_repeats() -> None:
    first, second = seal(KEY, b"secret", "a/1"), seal(KEY, b"secret", "a/1")

    assert b"secret" not in first
    assert first != second


@pytest.mark.parametrize(
    ("key", "sealed", "context"),
    [
        pytest.param(new_key(), seal(KEY, b"s", "a/1"), "a/1", id="another cell's key"),
        pytest.param(KEY, seal(KEY, b"s", "a/1"), "a/2", id="another context"),
        pytest.param(KEY, seal(KEY, b"s", "a/1")[:-1], "a/1", id="cut short"),
        pytest.param(KEY, seal(KEY, b"s", "a/1") + b"x", "a/1", id="made longer"),
        pytest.param(KEY, b"", "a/1", id="nothing"),
    ],
)
def test_nothing_else_can_be_opened(key: bytes, sealed: bytes, context: str) -> None:
    with pytest.raises(SealBroken, match="cannot open"):
        open_sealed(key, sealed, context)


def test_a_recreated_namespace_has_another_context() -> None:
    assert private_key_context("a", "1") != private_key_context("a", "2")
