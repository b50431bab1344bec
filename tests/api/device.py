"""A software phone, as far as the provider's API needs one: enrolled once, sessions opened as they run out.

Needs TAPCORE_PROVIDER (https://…) and TAPCORE_CA (the sandbox's ca.pem) in the environment.
"""

import datetime
import os
import secrets
import struct
import threading
import time

import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROVIDER = os.environ["TAPCORE_PROVIDER"].rstrip("/")
CA = os.environ["TAPCORE_CA"]


def bind(label, *parts):
    """LP(label) LP(part) …, texts as UTF-8."""
    bound = b""
    for part in (label, *parts):
        data = part.encode() if isinstance(part, str) else part
        bound += struct.pack(">I", len(data)) + data
    return bound


class Key:
    """A P-256 key with the encodings of the API."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_hex = self.public.hex().upper()

    def sign(self, message):
        """ECDSA with SHA-256, r and s of 32 bytes each."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def prove(self, label, *parts):
        return self.sign(bind(label, *parts)).hex().upper()


def post(path, body=None):
    answer = requests.post(PROVIDER + path, json=body, verify=CA, timeout=10)
    answer.raise_for_status()
    return answer.json()


def enrolment(key):
    """The body that enrols a device with this key, on a fresh challenge."""
    challenge = bytes.fromhex(post("/v1/enrolment-challenges")["challenge"])
    return {
        "challenge": challenge.hex().upper(),
        "device_key": key.public_hex,
        "key_store": "software",
        "app_version": "0.1.0",
        "proof": key.prove("tapcore-enrol-v1", challenge, key.public, "software"),
    }


class Device:
    """One enrolled device and its present session."""

    def __init__(self):
        self._lock = threading.Lock()
        self._key = Key()
        self.id = post("/v1/enrolments", enrolment(self._key))["device_id"]
        self._session = None
        self._until = 0.0

    def opening(self, key, until):
        """The body that opens a session for this key."""
        expires_at = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "device_id": self.id,
            "session_key": key.public_hex,
            "expires_at": expires_at,
            "proof": self._key.prove("tapcore-session-v1", self.id, key.public, expires_at),
        }

    def session(self):
        """The session's id and key, good for another five minutes at least."""
        with self._lock:
            if time.time() > self._until - 300:
                key, until = Key(), in_minutes(55)
                opened = post("/v1/sessions", self.opening(key, until))
                self._session = (opened["session_id"], key)
                self._until = until.timestamp()
            return self._session

    def verification(self, challenge_id):
        """A body that finishes adding a card, if the code were right."""
        key = Key()
        return {
            "code": "%06d" % secrets.randbelow(10**6),
            "provisioning_key": key.public_hex,
            "proof": self._key.prove("tapcore-provisioning-v1", self.id, challenge_id, key.public),
        }

    def replenishment(self, token_ref):
        """A body that asks for new keys, if the log's MAC were right."""
        key, mac = Key(), secrets.token_bytes(32)
        return {
            "log": [],
            "log_mac": mac.hex().upper(),
            "provisioning_key": key.public_hex,
            "proof": self._key.prove("tapcore-replenish-v1", self.id, token_ref, key.public, mac),
        }


def in_minutes(minutes):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
