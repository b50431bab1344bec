"""A software phone, as far as the provider's API needs one: enrolled once, sessions opened as they run out, cards added.

Needs in the environment TAPCORE_PROVIDER (https://…), TAPCORE_CA (the sandbox's ca.pem) and TAPCORE_EVENTS (the file
that the sandbox's standard output goes to: SMS codes are read there).
"""

import base64
import datetime
import hashlib
import hmac
import itertools
import json
import os
import secrets
import struct
import threading
import time

import hpke
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PROVIDER = os.environ["TAPCORE_PROVIDER"].rstrip("/")
CA = os.environ["TAPCORE_CA"]
EVENTS = os.environ["TAPCORE_EVENTS"]
COMPONENTS = ["@method", "@authority", "@path", "@query", "content-digest"]


def bind(label, *parts):
    """LP(label) LP(part) …, texts as UTF-8."""
    bound = b""
    for part in (label, *parts):
        data = part.encode() if isinstance(part, str) else part
        bound += struct.pack(">I", len(data)) + data
    return bound


class Key:
    """A P-256 key with the encodings of the API."""

    def __init__(self, scalar=None):
        curve = ec.SECP256R1()
        self.private = ec.derive_private_key(scalar, curve) if scalar else ec.generate_private_key(curve)
        self.public = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_hex = self.public.hex().upper()

    def sign(self, message):
        """ECDSA with SHA-256, r and s of 32 bytes each."""
        r, s = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def prove(self, label, *parts):
        return self.sign(bind(label, *parts)).hex().upper()


# The maker of the sandbox's phones; its key is made of words that stand in the sandbox's code.
MAKER = "test-maker"
MAKER_KEY = Key(int.from_bytes(hashlib.sha256(b"tapcore TEST maker wallet key, trust it nowhere").digest(), "big"))


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


def in_minutes(minutes):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)


def post(path, body=None, auth=None, key=None):
    headers = {"Idempotency-Key": key or secrets.token_hex(16)} if auth else {}
    answer = requests.post(PROVIDER + path, json=body, headers=headers, auth=auth, verify=CA, timeout=30)
    answer.raise_for_status()
    return answer.json()


def enrolment(key, link_code=None):
    """The body that enrols a device with this key, on a fresh challenge; with a link code as another phone of a user."""
    challenge = bytes.fromhex(post("/v1/enrolment-challenges")["challenge"])
    # The hash of a chain of no certificates: a key in software has nobody who vouches for it.
    chain = hashlib.sha256(b"").digest()
    proof = key.prove("tapcore-enrol-v1", challenge, key.public, "software", chain, link_code or "")
    return {
        "challenge": challenge.hex().upper(),
        "device_key": key.public_hex,
        "key_store": "software",
        "app_version": "0.1.0",
        "attestation": [],
        "link_code": link_code,
        "proof": proof,
    }


def card_number():
    """Some number of bank a that no document lists as behaving badly."""
    digits = "622848" + "%09d" % (10**8 + secrets.randbelow(9 * 10**8))
    doubled = [int(d) * (2 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits))]
    return digits + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def sms_code(masked):
    """The newest code that a bank sent for a card ending in these digits."""
    for _ in range(50):
        with open(EVENTS, encoding="utf-8") as lines:
            events = [json.loads(line) for line in lines if line.endswith("\n")]
        codes = [event["code"] for event in events if event["event"] == "sms" and event["to"].endswith(masked)]
        if codes:
            return codes[-1]
        time.sleep(0.1)
    raise RuntimeError("no SMS came for " + masked)


class Device(requests.auth.AuthBase):
    """One enrolled device. As `auth` of a request it signs what is about to go out, everything about it being final."""

    def __init__(self):
        self._lock = threading.Lock()
        self._key = Key()
        enrolled = post("/v1/enrolments", enrolment(self._key))
        self.id = enrolled["device_id"]
        self._network = bytes.fromhex(enrolled["network"]["hpke_key"])
        self._session = None
        self._until = 0.0
        self._tokens = {}
        self._alias = None
        # What may be left out is left out now and then.
        self._schemes = itertools.cycle([{}, *({"scheme": name} for name in ("unionpay", "visa", "mastercard"))])
        self._classes = itertools.cycle([{}, {"verified_keys": True}, {"verified_keys": False}])

    def opening(self, key, until):
        """The body that opens a session for this key."""
        expires_at = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "device_id": self.id,
            "session_key": key.public_hex,
            "expires_at": expires_at,
            "app_version": "0.1.0",
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

    def __call__(self, request):
        key_id, key = self.session()
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        digest = "sha-256=:%s:" % base64.b64encode(hashlib.sha256(body).digest()).decode()
        path, _, query = request.path_url.partition("?")
        authority = request.url.split("://", 1)[1].split("/", 1)[0].lower()
        values = [request.method, authority, path, "?" + query, digest]
        components = list(COMPONENTS)
        idempotency = request.headers.get("Idempotency-Key")
        if idempotency is not None:
            components.append("idempotency-key")
            values.append(text(idempotency).strip())
        parameters = '(%s);created=%d;nonce="%s";keyid="%s";alg="ecdsa-p256-sha256"' % (
            " ".join('"%s"' % name for name in components),
            int(time.time()),
            secrets.token_hex(16).upper(),
            key_id,
        )
        lines = ['"%s": %s' % pair for pair in zip(components, values)]
        lines.append('"@signature-params": ' + parameters)
        signature = key.sign("\n".join(lines).encode("latin-1", "replace"))
        request.headers["Content-Digest"] = digest
        request.headers["Signature-Input"] = "sig1=" + parameters
        request.headers["Signature"] = "sig1=:%s:" % base64.b64encode(signature).decode()
        # A connection that the server has just closed over an odd request must not be taken for the next one.
        request.headers["Connection"] = "close"
        return request

    def new_card(self):
        """A body that begins to add a card which its bank knows, of any scheme."""
        card = json.dumps({"number": card_number(), "expiry": "12/30"}).encode()
        sealed = hpke.seal(self._network, b"tapcore card entry v1", bind("card-entry", self.id), card)
        return {"sealed_card": sealed, **next(self._schemes)}

    def verification(self):
        """A challenge of a card that was just begun, the body that finishes it, and the key the answer is sealed for."""
        challenge = post("/v1/cards", self.new_card(), self)
        key, name = Key(), challenge["challenge_id"]
        proof = self._key.prove("tapcore-provisioning-v1", self.id, name, key.public)
        body = {"code": sms_code(challenge["masked"]), "provisioning_key": key.public_hex, "proof": proof}
        return name, body, key

    def token(self, purpose="replenish"):
        """A token of this device and its log key, provisioned at the first call, another one for each purpose."""
        with self._lock:
            known = self._tokens.get(purpose)
        if known is None:
            challenge, body, key = self.verification()
            answer = post("/v1/cards/%s/verify" % challenge, body, self)
            aad = bind("provisioning", self.id, challenge, answer["token_ref"])
            container = json.loads(hpke.unseal(key.private, b"tapcore provisioning v1", aad, answer["sealed"]))
            payload = json.loads(container["payload"])
            known = (answer["token_ref"], bytes.fromhex(payload["log_key"]))
            with self._lock:
                self._tokens[purpose] = known
        return known

    def sibling(self):
        """The id of a fresh phone of the same user."""
        code = post("/v1/link-codes", {"kind": "second_phone"}, self)["code"]
        return post("/v1/enrolments", enrolment(Key(), code))["device_id"]

    def maker_payload(self):
        """A token and the body that prepares it for the wallet of the phone's maker, which is played here."""
        token, _ = self.token("maker")
        key, nonce = Key(), secrets.token_bytes(16)
        vouched = MAKER_KEY.prove("tapcore-maker-key-v1", MAKER, key.public, nonce)
        proof = self._key.prove("tapcore-maker-payload-v1", self.id, token, key.public, nonce)
        return token, {
            "maker": MAKER,
            "maker_key": key.public_hex,
            "nonce": nonce.hex().upper(),
            "maker_signature": vouched,
            "proof": proof,
        }

    def code_batch(self):
        """The body that asks for aliases of payment codes, and the key the answer is sealed for."""
        token, _ = self.token("codes")
        key = Key()
        proof = self._key.prove("tapcore-code-aliases-v1", self.id, key.public)
        body = {"have": [], "token_refs": [token], "provisioning_key": key.public_hex, "proof": proof}
        return body, key

    def alias(self):
        """An alias of this device, asked for at the first call."""
        with self._lock:
            known = self._alias
        if known is None:
            (body, key), name = self.code_batch(), secrets.token_hex(16)
            answer = post("/v1/codes/aliases", body, self, name)
            aad = bind("code-aliases", self.id, name)
            payload = json.loads(hpke.unseal(key.private, b"tapcore codes v1", aad, answer["sealed"]))
            known = payload["aliases"][0]["alias"]
            with self._lock:
                self._alias = known
        return known

    def replenishment(self):
        """A token and the body that asks for new keys for it, nothing having been paid."""
        token, log_key = self.token()
        key = Key()
        mac = hmac.digest(log_key, bind("tapcore-payment-log-v1", token), hashlib.sha256)
        proof = self._key.prove("tapcore-replenish-v1", self.id, token, key.public, mac)
        body = {"log": [], "log_mac": mac.hex().upper(), "provisioning_key": key.public_hex, "proof": proof}
        return token, {**body, **next(self._classes)}
