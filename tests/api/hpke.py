"""HPKE base mode as the API uses it (RFC 9180): DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one message per key."""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEM_SUITE = b"KEM\x00\x10"
SUITE = b"HPKE\x00\x10\x00\x01\x00\x02"
CURVE = ec.SECP256R1()


def _extract(suite, salt, label, key):
    return hmac.digest(salt, b"HPKE-v1" + suite + label + key, hashlib.sha256)


def _expand(suite, key, label, info, length):
    # One block of HKDF-Expand: nothing longer than a SHA-256 output is asked for.
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, labelled + b"\x01", hashlib.sha256)[:length]


def _cipher(shared_point, enc, recipient, info):
    prk = _extract(KEM_SUITE, b"", b"eae_prk", shared_point)
    shared = _expand(KEM_SUITE, prk, b"shared_secret", enc + recipient, 32)
    context = b"\x00" + _extract(SUITE, b"", b"psk_id_hash", b"") + _extract(SUITE, b"", b"info_hash", info)
    secret = _extract(SUITE, shared, b"secret", b"")
    return AESGCM(_expand(SUITE, secret, b"key", context, 32)), _expand(SUITE, secret, b"base_nonce", context, 12)


def _public(key):
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def seal(recipient, info, aad, plaintext):
    """The box for the holder of `recipient` (SEC1 uncompressed), as the API writes it."""
    ephemeral = ec.generate_private_key(CURVE)
    enc = _public(ephemeral)
    point = ephemeral.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, recipient))
    cipher, nonce = _cipher(point, enc, recipient, info)
    return {"enc": enc.hex().upper(), "ciphertext": cipher.encrypt(nonce, plaintext, aad).hex().upper()}


def unseal(key, info, aad, box):
    """What is in a box for the private key `key`; raises when it does not open."""
    enc = bytes.fromhex(box["enc"])
    point = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, enc))
    cipher, nonce = _cipher(point, enc, _public(key), info)
    return cipher.decrypt(nonce, bytes.fromhex(box["ciphertext"]), aad)
