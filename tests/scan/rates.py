"""How often symbols are read: the gate, the conditions beyond it, and the masks of QR codes against each other."""

import collections
import os
import tempfile

import draw
from report import lines

PIXELS = (2, 3, 4)
QR = ("qr_digits", "qr_cpm")
BARS = ("code128_18", "code128_19")
SYMBOLOGY = {"qr_digits": "qrcode", "qr_cpm": "qrcode", "code128_18": "code128", "code128_19": "code128"}

GATE_CODES = 200
GATE_ANGLES = {**dict.fromkeys(QR, (0, 90, 180, 270)), **dict.fromkeys(BARS, (0, 5, -5, 180))}

TABLE_CODES = 50
TABLE_SIGMAS = (0.5, 1.0, 1.5, 2.0)
TABLE_ANGLES = (10, 15, 30, 45)

BLURS = {2: (0.65, 0.75, 0.85), 3: (1.1, 1.4, 1.65), 4: (1.75, 1.9, 2.05)}
"""By pixels per module, the blur in pixels at which one reader after the other begins to fail with 18 digits."""
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
                    image = draw.picture(dark, pixels, page(number), angle)
                    yield (kind, angle, pixels), SYMBOLOGY[kind], text, image

    rows = []
    for (kind, angle, pixels), counts in sorted(tally(readers, pictures()).items()):
        row = {"symbol": kind, "angle": angle, "px": pixels}
        for name, (right, wrong, of) in counts.items():
            row[name] = f"{right}/{of}"
            holds = right == of == GATE_CODES
            report.check(f"{name}: {kind} at {angle}°, {pixels} px", holds, f"read {right} of {of}, misread {wrong}")
        rows.append(row)
    report.check("every symbol is there", len(rows) == sum(map(len, GATE_ANGLES.values())) * len(PIXELS))
    report.table("Must be read (each symbol, half of them on a dark page)", rows)


def table(folder, readers, report):
    """What is only reported: blur, other angles, no quiet zone."""
    chosen = list(symbols(folder, TABLE_CODES))

    def conditions(kind, dark):
        for pixels in PIXELS:
            for sigma in TABLE_SIGMAS:
                yield f"blur {sigma} px", pixels, draw.picture(dark, pixels, sigma=sigma)
        for angle in TABLE_ANGLES:
            yield f"angle {angle}°", 3, draw.picture(dark, 3, angle=angle)
        bare = draw.without_quiet_zone(dark)
        yield "no quiet zone, light page", 3, draw.picture(bare, 3)
        yield "no quiet zone, dark page", 3, draw.picture(bare, 3, draw.DARK)

    def pictures():
        for kind, text, dark in chosen:
            for condition, pixels, image in conditions(kind, dark):
                yield (kind, condition, pixels), SYMBOLOGY[kind], text, image

    rows = []
    for (kind, condition, pixels), counts in tally(readers, pictures()).items():
        row = {"symbol": kind, "condition": condition, "px": pixels}
        row.update({name: share(count) for name, count in counts.items()})
        rows.append(row)
    report.table("Reported only (percent read; misread in brackets)", rows)


def masks(folder, readers, report):
    """The masks of 18 digits, upright: each code with each mask, at 2, 3 or 4 px by turns, sharp and blurred."""
    automatic = {}

    def pictures():
        for number, line in enumerate(lines(folder, "masks.jsonl")):
            pixels = PIXELS[number % len(PIXELS)]
            automatic[number] = line["automatic"]
            for mask, rows in enumerate(line["masks"]):
                dark = draw.modules(rows, 1)
                for blur, sigma in enumerate((0, *BLURS[pixels])):
                    # What the automatic choice is worth shows in the rows of the masks that it chose.
                    chosen = mask == line["automatic"]
                    image = draw.picture(dark, pixels, sigma=sigma)
                    yield (mask, blur, pixels, chosen), "qrcode", line["text"], image

    by_row = collections.defaultdict(lambda: [0, 0, 0])
    for (mask, blur, pixels, chosen), counts in tally(readers, pictures()).items():
        names = [str(mask), "automatic"] if chosen else [str(mask)]
        for name in names:
            for reader, count in counts.items():
                for place in ((name, reader, blur, pixels), (name, reader, blur, "all")):
                    by_row[place] = [a + b for a, b in zip(by_row[place], count)]
    shares = collections.Counter(automatic.values())
    report.say(f"{len(automatic)} codes; the automatic choice fell on " + ", ".join(f"{mask}: {shares[mask]}" for mask in range(8)))
    for pixels in (*PIXELS, "all"):
        rows = []
        for name in [*map(str, range(8)), "automatic"]:
            row = {"mask": name}
            for reader in readers.names:
                for blur in range(4):
                    row[f"{reader} {'sharp' if blur == 0 else f'blur {blur}'}"] = share(by_row[name, reader, blur, pixels])
            rows.append(row)
        sizes = f"{pixels} px, blur {BLURS[pixels]} px" if pixels in BLURS else "2, 3 and 4 px together"
        report.table(f"Masks at {sizes} (percent read; misread in brackets)", rows)


def share(count):
    """A rate in percent."""
    right, wrong, of = count
    text = f"{100 * right / of:.1f}" if of else "-"
    return f"{text} ({wrong})" if wrong else text
