"""Three readers that nobody here wrote, each in one process over all pictures: zbar, ZXing (Java) and zxing-cpp.

A reader takes files and answers for each what it found, as a list of (symbology, text). All are set as tills are, to the
codes that they take: with every symbology allowed, a Code 128 upside down or part of a QR code is now and then something
else. ZXing looks twice: as its reader of several codes does, and, under a name of its own, as its plain reader does, which
gives up where the first finder patterns that it likes are the wrong ones.
"""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor

import zxingcpp
from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
ZBAR = "{http://zbar.sourceforge.net/2008/barcode}"
PLAIN = "zxing plain"
"""Reported, never gated."""


def symbology(name):
    """`qrcode` or `code128`, however a reader spells it."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


class Zbar:
    """`zbarimg` of Debian's zbar-tools."""

    names = ("zbar",)
    command = ("zbarimg", "--quiet", "--xml", "--nodbus", "-Sdisable", "-Sqrcode.enable", "-Scode128.enable")

    def read(self, files):
        run = subprocess.run([*self.command, *files], capture_output=True, check=False)
        # 4: not in every picture was there something.
        if run.returncode not in (0, 4):
            raise RuntimeError("zbarimg failed: " + run.stderr.decode(errors="replace"))
        found = {}
        for source in xml.fromstring(run.stdout).iter(ZBAR + "source"):
            symbols = source.iter(ZBAR + "symbol")
            found[source.get("href")] = [
                (symbology(symbol.get("type")), symbol.findtext(ZBAR + "data")) for symbol in symbols
            ]
        return {"zbar": [found.get(file, []) for file in files]}

    def close(self):
        """Nothing stays open."""


class ZxingCpp:
    """The Python package zxing-cpp."""

    names = ("zxing-cpp",)
    formats = (zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Code128)

    def read(self, files):
        return {"zxing-cpp": [self.one(file) for file in files]}

    def one(self, file):
        with Image.open(file) as image:
            found = zxingcpp.read_barcodes(image, formats=self.formats)
        return [(symbology(code.format.name), code.text) for code in found]

    def close(self):
        """Nothing stays open."""


class Zxing:
    """ZXing's own library in a Java process, which is told files and answers in lines."""

    names = ("zxing", PLAIN)

    def __init__(self, jar):
        self.process = subprocess.Popen(
            ["java", "-cp", jar, os.path.join(HERE, "Read.java")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def read(self, files):
        answers = zip(*[self.one(file) for file in files])
        return dict(zip(self.names, answers))

    def one(self, file):
        self.process.stdin.write(file + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("ZXing's process ended")
        return [[(symbology(format), text) for format, text in codes] for codes in json.loads(answer)]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Readers:
    """All of them, at work beside each other."""

    def __init__(self, jar):
        self.readers = [Zbar(), Zxing(jar), ZxingCpp()]
        self.names = [name for reader in self.readers for name in reader.names]
        self.pool = ThreadPoolExecutor(len(self.readers))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pool.shutdown()
        for reader in self.readers:
            reader.close()

    def read(self, files):
        """For each reader, what it found in each file."""
        found = {}
        for answers in self.pool.map(lambda reader: reader.read(files), self.readers):
            found.update(answers)
        return found


def main():
    """What each reader finds in pictures that somebody else made: readers.py JAR FILE…"""
    with Readers(sys.argv[1]) as readers:
        found = readers.read(sys.argv[2:])
    for at, file in enumerate(sys.argv[2:]):
        print(json.dumps({"file": file, **{name: codes[at] for name, codes in found.items()}}))


if __name__ == "__main__":
    main()
