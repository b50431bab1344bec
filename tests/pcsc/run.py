#!/usr/bin/env python3
"""Taps the phone through PC/SC: pcscd, vsmartcard's virtual reader, and `tapcore phone serve --vpcd` as the card in it.

Usage: tests/pcsc/run.py TAPCORE_BINARY. Debian's packages pcscd and vsmartcard-vpcd must be installed; nothing of a
pcscd that runs already is touched. The last line is counted as a test runner's.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pcsc  # noqa: E402
from daemon import PATIENCE, Daemon  # noqa: E402

BODY = "622848000001700"
PPSE = "00A404000E325041592E5359532E444446303100"


def luhn(body):
    """A card number of this body and its check digit."""
    digits = [int(digit) for digit in reversed(body)]
    total = sum(digit if at % 2 else digit * 2 // 10 + digit * 2 % 10 for at, digit in enumerate(digits))
    return body + str(-total % 10)


def objects(data):
    """BER-TLV, flat: the primitive objects at any depth, and the templates around them."""
    found = {}
    while data:
        size = 1
        if data[0] & 0x1F == 0x1F:
            size = 2
            while data[size - 1] & 0x80:
                size += 1
        tag, rest = data[:size], data[size:]
        length, rest = rest[0], rest[1:]
        if length & 0x80:
            count = length & 0x7F
            length, rest = int.from_bytes(rest[:count], "big"), rest[count:]
        value, data = rest[:length], rest[length:]
        found.setdefault(tag.hex().upper(), value)
        if tag[0] & 0x20:
            for name, inner in objects(value).items():
                found.setdefault(name, inner)
    return found


def fill(pdol):
    """What a terminal answers to a PDOL: 12.50 yuan, online, an unpredictable number that nobody had before."""
    known = {
        "9F66": "66800000",
        "9F02": "000000001250",
        "9F1A": "0156",
        "5F2A": "0156",
        "9A": "261122",
        "9F37": secrets.token_hex(4),
        "9F4E": b"PC/SC test".ljust(20).hex(),
    }
    data = b""
    while pdol:
        size = 2 if pdol[0] & 0x1F == 0x1F else 1
        tag, length, pdol = pdol[:size].hex().upper(), pdol[size], pdol[size + 1 :]
        data += bytes.fromhex(known.get(tag, "00" * length))
    return data


class Process:
    """`tapcore` with its events."""

    def __init__(self, tapcore, *words):
        self.process = subprocess.Popen([tapcore, *words], stdout=subprocess.PIPE, stderr=sys.stderr, text=True)

    def event(self, name):
        """The next event of this name."""
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == name:
                return event
        raise RuntimeError(f"it ended before it told of {name!r}")

    def stop(self):
        """Ends it."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


class Taps(unittest.TestCase):
    """Each test is a program that uses the card."""

    tapcore = ""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tapcore-pcsc-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        sandbox = Process(cls.tapcore, "sandbox", "--data", os.path.join(cls.folder, "sandbox"))
        cls.addClassCleanup(sandbox.stop)
        ready = sandbox.event("ready")
        phone = [cls.tapcore, "phone", "--data", os.path.join(cls.folder, "phone")]
        subprocess.run([*phone, "enrol", "--provider", ready["provider"], "--ca", ready["ca"]], check=True)
        card = [*phone, "card", "add", "--number", luhn(BODY), "--expiry", "12/29"]
        # Without a code it asks for one, finds the end of its input, and leaves the challenge open.
        subprocess.run(card, check=False, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run([*card, "--sms", sandbox.event("sms")["code"]], check=True)
        cls.daemon = Daemon(cls.folder)
        cls.daemon.start()
        cls.addClassCleanup(cls.daemon.stop)
        reader = f"127.0.0.1:{cls.daemon.port}"
        cls.phone = Process(*phone, "serve", "--vpcd", reader)
        cls.addClassCleanup(cls.phone.stop)
        assert cls.phone.event("ready")["vpcd"] == reader

    def card(self, context):
        """The card, once the daemon has seen it."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return context.connect(context.readers()[0])
            except (pcsc.Error, IndexError):
                if time.monotonic() > until:
                    self.fail("the daemon sees no card:\n" + self.daemon.log())
                time.sleep(0.1)

    def answer(self, card, command):
        """The data of an answer that must be well."""
        data, status = card.transmit(command)
        self.assertEqual(status, "9000", command)
        return data

    def select(self, card):
        """Directory and application; answers the PDOL."""
        aid = objects(self.answer(card, PPSE))["4F"]
        fci = objects(self.answer(card, f"00A40400{len(aid):02X}{aid.hex()}00"))
        self.assertEqual(fci["84"], aid)
        return fci["9F38"]

    def pay(self, card):
        """A whole payment; answers its counter."""
        data = fill(self.select(card))
        options = objects(self.answer(card, f"80A80000{len(data) + 2:02X}83{len(data):02X}{data.hex()}00"))
        self.assertEqual(len(options["9F26"]), 8)
        locator, records = options["94"], {}
        for at in range(0, len(locator), 4):
            file, first, last, _ = locator[at : at + 4]
            for number in range(first, last + 1):
                records.update(objects(self.answer(card, f"00B2{number:02X}{file | 4:02X}00")))
        self.assertIn("5F24", records)
        return int.from_bytes(options["9F36"], "big")

    def test_payments_are_complete_and_counters_rise(self):
        with pcsc.Context() as context:
            counters = []
            for _ in range(3):
                card = self.card(context)
                counters.append(self.pay(card))
                card.leave()
                tap = self.phone.event("tap")
                self.assertEqual((tap["atc"], tap["outcome"]), (counters[-1], "complete"))
            self.assertEqual(counters, sorted(set(counters)))

    def test_a_reset_forgets_what_was_selected(self):
        with pcsc.Context() as context:
            card = self.card(context)
            data = fill(self.select(card))
            card.reset()
            options = f"80A80000{len(data) + 2:02X}83{len(data):02X}{data.hex()}00"
            self.assertEqual(card.transmit(options), (b"", "6985"))
            card.leave()

    def test_power_off_in_the_middle_is_an_incomplete_tap(self):
        with pcsc.Context() as context:
            card = self.card(context)
            data = fill(self.select(card))
            self.answer(card, f"80A80000{len(data) + 2:02X}83{len(data):02X}{data.hex()}00")
            card.leave()
            self.assertEqual(self.phone.event("tap")["outcome"], "incomplete")

    def test_what_no_card_knows_gets_a_status_word(self):
        with pcsc.Context() as context:
            card = self.card(context)
            self.assertEqual(card.transmit("00A4040007A000000003101000"), (b"", "6A82"))
            self.assertEqual(card.transmit("00CA9F3600"), (b"", "6D00"))
            card.leave()

    def test_the_phone_comes_back_to_a_daemon_that_comes_back(self):
        self.daemon.stop()
        self.daemon.start()
        with pcsc.Context() as context:
            card = self.card(context)
            counter = self.pay(card)
            card.leave()
            self.assertEqual(self.phone.event("tap")["atc"], counter)


def main():
    """Runs the tests; the last line says how many passed."""
    if len(sys.argv) != 2:
        sys.exit("usage: run.py TAPCORE_BINARY")
    Taps.tapcore = sys.argv[1]
    result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(Taps))
    failed = len(result.failures) + len(result.errors)
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {max(result.testsRun - failed, 0)} passed; {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
