"""Signs the requests that schemathesis makes, as docs/backend-api.yaml says under `messageSignature`.

Loaded through SCHEMATHESIS_HOOKS, with the environment that device.py needs. What is about to go out is signed after
schemathesis has made it as odd as it likes. Of the requests that it meant to be right, every other one is made so:
challenges, proofs and sealed boxes that hold are nothing that a generator finds, and without them nothing would ever
be accepted. The rest goes out as generated.
"""

import itertools

import requests
import schemathesis
from device import Device, Key, enrolment, in_minutes

DEVICE = Device()
TURN = itertools.count()


def enrol(case):
    case.body = enrolment(Key())


def open_session(case):
    case.body = DEVICE.opening(Key(), in_minutes(50))


def add_card(case):
    case.body = DEVICE.new_card()


def verify_card(case):
    case.path_parameters["challenge_id"], case.body, _ = DEVICE.verification()


def replenish(case):
    case.path_parameters["token_ref"], case.body = DEVICE.replenishment()


def maker_payload(case):
    case.path_parameters["token_ref"], case.body = DEVICE.maker_payload()


def set_token_state(case):
    # Of a token that nothing else needs to be active.
    case.path_parameters["token_ref"], _ = DEVICE.token("states")


def wipe_phone(case):
    case.path_parameters["device_id"] = DEVICE.sibling()


def fill_code_aliases(case):
    case.body, _ = DEVICE.code_batch()


def get_code_alias(case):
    case.path_parameters["alias"] = DEVICE.alias()


RIGHT = {
    "enrol": enrol,
    "openSession": open_session,
    "addCard": add_card,
    "verifyCard": verify_card,
    "replenish": replenish,
    "makerPayload": maker_payload,
    "setTokenState": set_token_state,
    "wipePhone": wipe_phone,
    "fillCodeAliases": fill_code_aliases,
    "getCodeAlias": get_code_alias,
}


class Passing(requests.auth.AuthBase):
    """A device for one request: what is asked of it is to be forgotten."""

    def __call__(self, request):
        return Device()(request)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a request right that was meant to be; deliberately wrong ones stay as they are."""
    definition = case.operation.definition.raw
    operation = definition.get("operationId")
    if operation == "wipePhone" and case.path_parameters.get("device_id") == DEVICE.id:
        wipe_phone(case)  # The one that signs is needed a little longer.
    right = RIGHT.get(operation)
    if right is None or case.meta is None:
        return
    if "requestBody" in definition and not isinstance(case.body, dict):
        return
    if case.meta.generation.mode.is_positive and next(TURN) % 2 == 0:
        right(case)


# Only what the document puts behind a signature; the way in stays open.
schemathesis.auth.set_from_requests(DEVICE).apply_to(path_regex=r"^/v1/(?!enrol|sessions|erasure)")
schemathesis.auth.set_from_requests(Passing()).apply_to(path_regex=r"^/v1/erasure")
