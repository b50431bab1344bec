"""How often symbols are read: the gate, the conditions beyond it, and the masks of QR codes against each other."""

import collections
import os
import tempfile

import draw
from readers import PLAIN
from report import lines

PIXELS = (2, 3, 4)
QR = ("qr_digits", "qr_cpm")
BARS = ("code128_18", "code128_19")
SYMBOLOGY = {"qr_digits": "qrcode", "qr_cpm": "qrcode", "code128_18": "code128", "code128_19": "code128"}

GATE_CODES = 200
GATE_ANGLES = {**dict.fromkeys(QR, (0, 90, 180, 270)), **dict.fromkeys(BARS, (0, 5, -5, 180))}

TABLE_SIGMAS = (0.5, 1.0, 1.5, 2.0)
TABLE_ANGLES = (5, 10, 15, 30, 45)

BLURS = {
    "qr_digits": {2: (0.65, 0.75, 0.85), 3: (1.1, 1.4, 1.65), 4: (1.75, 1.9, 2.05)},
    "qr_cpm": {2: (), 3: (), 4: ()},
}
"""For the masks, by pixels per module, blurs in pixels: those at which one reader after the other begins to fail with 18
digits. A consumer-presented code is hard enough sharp."""
BATCH = 1_500


def tally(readers, pictures):
    """Draws pictures, has them read and counts.

    `pictures` yields (cell, symbology, text, image). Answers for each cell and reader how many were read, how many gave
    something else, and how many there were. Read is what gives this one text and nothing beside it.
    """
    counts = collections.defaultdict(lambda: {name: [0, 0, 0] for name in readers.names})
    with tempfile.TemporaryDirectory(prefix="tapcore-scan-") as folder:
        batch = []
        for number, (cell, symbology, text, image) in enumerate(pictures):
            file = os.path.join(folder, f"{number % BATCH}.png")
            image.save(file, compress_level=1)
            batch.append((file, cell, [(symbology, text)]))
            if len(batch) == BATCH:
                read(readers, batch, counts)
                batch = []
        if batch:
            read(readers, batch, counts)
    return counts


def read(readers, batch, counts):
    for name, answers in readers.read([file for file, _, _ in batch]).items():
        for (_, cell, wanted), found in zip(batch, answers, strict=True):
            count = counts[cell][name]
            count[0] += found == wanted
            count[1] += bool(found) and found != wanted
            count[2] += 1


def symbols(folder, most):
    """Up to so many symbols of each kind, as kind, text and matrix."""
    seen = collections.Counter()
    for line in lines(folder, "symbols.jsonl"):
        kind = line["kind"]
        if seen[kind] < most:
            seen[kind] += 1
            yield kind, line["text"], draw.modules(line["rows"], line["row_height"])


def page(number):
    """Every other picture is on a dark page."""
    return draw.DARK if number % 2 else draw.LIGHT


def gate(folder, readers, report):
    """Each symbol at each size and angle, half of them on a dark page: all must be read by all."""

    def pictures():
        for number, (kind, text, dark) in enumerate(symbols(folder, GATE_CODES)):
            for angle in GATE_ANGLES[kind]:
                for pixels in PIXELS:
                    # By fours, because the kinds take turns.
                    image = draw.picture(dark, pixels, page(number // 4), angle)
                    yield (kind, angle, pixels), SYMBOLOGY[kind], text, image

    rows = []
    for (kind, angle, pixels), counts in sorted(tally(readers, pictures()).items()):
        row = {"symbol": kind, "angle": angle, "px": pixels}
        for name, (right, wrong, of) in counts.items():
            row[name] = f"{right}/{of}"
            holds = right == of == GATE_CODES
            if name != PLAIN:
                report.check(f"{name}: {kind} at {angle}°, {pixels} px", holds, f"read {right} of {of}, misread {wrong}")
        rows.append(row)
    report.check("every symbol is there", len(rows) == sum(map(len, GATE_ANGLES.values())) * len(PIXELS))
    report.table(f"Must be read (each symbol, half of them on a dark page; {PLAIN} is only reported)", rows)


def table(folder, readers, report, most):
    """What is only reported, of so many symbols of each kind: blur, other angles, no quiet zone."""

    def conditions(dark):
        for pixels in PIXELS:
            for sigma in TABLE_SIGMAS:
                yield f"blur {sigma} px", pixels, draw.picture(dark, pixels, sigma=sigma)
            for angle in TABLE_ANGLES:
                yield f"{angle}°", pixels, draw.picture(dark, pixels, angle=angle)
                yield f"{angle}° smoothed", pixels, draw.picture(dark, pixels, angle=angle, smooth=True)
        bare = draw.without_quiet_zone(dark)
        yield "no quiet zone, light page", 3, draw.picture(bare, 3)
        yield "no quiet zone, dark page", 3, draw.picture(bare, 3, draw.DARK)

    def pictures():
        for kind, text, dark in symbols(folder, most):
            for condition, pixels, image in conditions(dark):
                yield (kind, condition, pixels), SYMBOLOGY[kind], text, image

    rows = []
    for (kind, condition, pixels), counts in tally(readers, pictures()).items():
        row = {"symbol": kind, "condition": condition, "px": pixels}
        row.update({name: share(count) for name, count in counts.items()})
        rows.append(row)
    # The order in which they were drawn, kind by kind.
    rows.sort(key=lambda row: row["symbol"])
    report.table(f"Reported only, {most} of each (percent read; misread in brackets)", rows)


def masks(folder, readers, report):
    """The masks of QR codes, upright: each code with each mask, at 2, 3 or 4 px by turns, sharp and blurred."""
    shares = {kind: collections.Counter() for kind in BLURS}

    def pictures():
        for number, line in enumerate(lines(folder, "masks.jsonl")):
            kind, pixels = line["kind"], PIXELS[number % len(PIXELS)]
            shares[kind][line["automatic"]] += 1
            for mask, rows in enumerate(line["masks"]):
                dark = draw.modules(rows, 1)
                # What the automatic choice is worth shows in the pictures of the masks that it chose.
                chosen = mask == line["automatic"]
                for sigma in (0, *BLURS[kind][pixels]):
                    yield (kind, mask, chosen, pixels, sigma), "qrcode", line["text"], draw.picture(dark, pixels, sigma=sigma)

    sums = collections.defaultdict(lambda: [0, 0, 0])
    for (kind, mask, chosen, pixels, sigma), counts in tally(readers, pictures()).items():
        for reader, count in counts.items():
            for row in (mask, "automatic") if chosen else (mask,):
                for column in (f"{pixels} px" + (f", blur {sigma}" if sigma else ""), "all"):
                    cell = sums[kind, reader, row, column]
                    cell[:] = [a + b for a, b in zip(cell, count)]
    for kind, blurs in BLURS.items():
        chosen = ", ".join(f"{mask}: {shares[kind][mask]}" for mask in range(8))
        report.say(f"{kind}: {shares[kind].total()} codes; the automatic choice fell on mask {chosen}")
        columns = [f"{px} px" + (f", blur {sigma}" if sigma else "") for px in blurs for sigma in (0, *blurs[px])]
        for reader in readers.names:
            if (kind, reader) == ("qr_digits", PLAIN):
                # Three finder patterns and no alignment pattern: it reads as the other does.
                continue
            rows = [
                {"mask": row, **{column: share(sums[kind, reader, row, column]) for column in (*columns, "all")}}
                for row in (*range(8), "automatic")
            ]
            report.table(f"{kind} by {reader} (percent read; misread in brackets)", rows)


def share(count):
    """A rate in percent."""
    right, wrong, of = count
    text = f"{100 * right / of:.2f}" if of else "-"
    return f"{text} ({wrong})" if wrong else text
