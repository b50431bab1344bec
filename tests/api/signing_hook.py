"""Signs the requests that schemathesis makes, as docs/backend-api.yaml says under `messageSignature`.

Loaded through SCHEMATHESIS_HOOKS, with the environment that device.py needs. What is about to go out is signed after
schemathesis has made it as odd as it likes. Bodies that it meant to be right get keys, challenges and proofs that are
right, which no generator can find: otherwise nothing would ever be accepted.
"""

import base64
import hashlib
import secrets
import time

import requests
import schemathesis
from device import Device, Key, enrolment, in_minutes

COMPONENTS = ["@method", "@authority", "@path", "@query", "content-digest"]
DEVICE = Device()


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


class Signature(requests.auth.AuthBase):
    """Signs a prepared request: everything about it is final here."""

    def __call__(self, request):
        key_id, key = DEVICE.session()
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
        covered = " ".join('"%s"' % name for name in components)
        parameters = '(%s);created=%d;nonce="%s";keyid="%s";alg="ecdsa-p256-sha256"' % (
            covered,
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
        return request


# Only what the document puts behind a signature; the way in stays open.
schemathesis.auth.set_from_requests(Signature()).apply_to(path_regex=r"^/v1/(cards|tokens|entries)")


RIGHT = {
    "enrol": lambda case: enrolment(Key()),
    "openSession": lambda case: DEVICE.opening(Key(), in_minutes(50)),
    "verifyCard": lambda case: DEVICE.verification(case.path_parameters["challenge_id"]),
    "replenish": lambda case: DEVICE.replenishment(case.path_parameters["token_ref"]),
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a body right that was meant to be; deliberately wrong ones stay as they are."""
    right = RIGHT.get(case.operation.definition.raw.get("operationId"))
    if right is None or case.meta is None or not isinstance(case.body, dict):
        return
    if case.meta.generation.mode.is_positive:
        case.body = right(case)
