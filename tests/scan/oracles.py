"""Codes by other people's libraries: one-time passwords, consumer-presented and merchant-presented codes."""

import base64
import binascii
import decimal
import hashlib
import hmac
import subprocess

import cemacqr
import pyemv.tlv
import pyotp

from report import lines

STEP = 30
"""Seconds of a step of time."""
NUMERIC = {"CNY": "156", "HKD": "344", "JPY": "392", "USD": "840"}
"""ISO 4217's numbers for the currencies of the sample codes."""


def run(folder, report):
    """Checks every vector of the folder; a kind without one is a failure."""
    kinds = {"otp": otp, "cpm": cpm, "mpm": mpm}
    seen = set()
    for line in lines(folder, "vectors.jsonl"):
        seen.add(line["kind"])
        for name, expected, found in kinds[line["kind"]](line):
            report.check(f"{name} of {line}", expected == found, f"expected {expected!r}, found {found!r}")
    report.check("every kind of code is there", seen == set(kinds), f"only {seen}")


def code_key(seed, alias):
    """HKDF-SHA-256 (RFC 5869) without a salt, one block."""
    extracted = hmac.digest(bytes(32), seed, hashlib.sha256)
    return hmac.digest(extracted, alias.encode() + b"\x01", hashlib.sha256)


def otp(line):
    """The one-time password by `oathtool` and by pyotp, under a key that Python derived."""
    key = code_key(bytes.fromhex(line["seed"]), line["alias"])
    time, digits = line["step"] * STEP, len(line["otp"])
    command = ["oathtool", "--totp=sha256", f"--digits={digits}", f"--time-step-size={STEP}s", f"--now=@{time}", key.hex()]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    yield "oathtool's password", told, line["otp"]
    totp = pyotp.TOTP(base64.b32encode(key).decode(), digits=digits, digest=hashlib.sha256, interval=STEP)
    yield "pyotp's password", totp.at(time), line["otp"]


def cpm(line):
    """The objects of a consumer-presented code by pyemv."""
    found = pyemv.tlv.decode(base64.b64decode(line["text"], validate=True), convert=lambda _, value: value.hex().upper())
    yield "pyemv's objects", found, line["objects"]


def mpm(line):
    """A merchant-presented code by cemacqr, its checksum by Python's own as well."""
    try:
        code = cemacqr.EmvQr.parse(line["text"])
    except cemacqr.CemacQrError:
        yield "cemacqr's refusal", True, "refused" in line
        return
    yield "cemacqr's checksum", code.crc_ok, "refused" not in line
    if "refused" in line:
        return
    covered, stated = line["text"][:-4], line["text"][-4:]
    yield "Python's checksum", f"{binascii.crc_hqx(covered.encode(), 0xFFFF):04X}", stated.upper()
    yield "cemacqr's objects", flat(code), line["objects"]
    yield "cemacqr's initiation", code.point_of_initiation == "12", line["dynamic"]
    yield "cemacqr's currency", code.currency, NUMERIC[line["currency"]]
    unit = decimal.Decimal(10) ** line["exponent"]
    for name, text, scale in (("amount", code.amount, unit), ("fee", code.get("56"), unit), ("percent", code.get("57"), 100)):
        value = None if text is None else int(decimal.Decimal(text) * scale)
        yield f"cemacqr's {name}", value, line[name]


def flat(code):
    """The objects by id, those of templates by both ids; without those that say what the code is and what it costs."""
    objects = {}
    for tag in code.tags:
        if tag in ("00", "01", "53", "54", "56", "57", "63"):
            continue
        template = 26 <= int(tag) <= 51 or tag in ("62", "64") or 80 <= int(tag)
        inner = {f"{tag}.{id}": value for id, value in code.template(tag).items()} if template else {tag: code.get(tag)}
        objects.update(inner)
    return objects
