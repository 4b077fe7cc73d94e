"""Authenticated encryption for what lies in a cell's database but only its gatekeeper may read."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class SealBroken(Exception):
    """The key or the context is not the one it was sealed with, or the bytes were changed."""


def new_key() -> bytes:
    """Return a fresh sealing key, 32 random bytes."""
    return AESGCM.generate_key(KEY_BYTES * 8)


def private_key_context(namespace: str, uid: str) -> str:
    """Return the context of a namespace's private key: nobody can pass it off as another's."""
    return f"{namespace}/{uid}/private-key"


def seal(key: bytes, plaintext: bytes, context: str) -> bytes:
    """Return `plaintext` encrypted with AES-256-GCM and bound to `context`.

    A key seals at most 2^32 times: its nonces are random (NIST SP 800-38D, 8.3).
    """
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context.encode())


def open_sealed(key: bytes, sealed: bytes, context: str) -> bytes:
    """Return what was sealed with this key for this context, or raise SealBroken."""
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, context.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken(f"cannot open what was sealed for {context}") from error
