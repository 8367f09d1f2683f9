"""What is sealed, as it lies there: a random nonce, then the cipher text and its tag (AES-GCM). Spark's aes_decrypt opens the same."""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


def seal(cipher: AESGCM, plain: bytes, bound_to: bytes = b"") -> bytes:
    """`plain` sealed; who opens it must say what it is `bound_to`."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound_to)
