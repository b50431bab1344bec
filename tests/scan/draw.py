"""Symbols as a camera may see them: gray pictures of one module matrix each, on a page, turned or out of focus."""

import numpy
from PIL import Image

LIGHT = 255
"""A page as light as the symbol."""
DARK = 18
"""A page as screens in their dark colours have it."""
MARGIN = 40
"""Pixels of page around the symbol."""


def modules(rows, row_height):
    """A matrix of rows of 0 and 1: true where it is dark."""
    dark = numpy.array([[module == "1" for module in row] for row in rows])
    return dark.repeat(row_height, axis=0)


def without_quiet_zone(dark):
    """The matrix cut down to its outermost dark modules."""
    rows, columns = dark.any(axis=1).nonzero()[0], dark.any(axis=0).nonzero()[0]
    return dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def picture(dark, pixels, page=LIGHT, angle=0, smooth=False, sigma=0.0):
    """Draws a matrix.

    `pixels` is the width of a module; `angle` counts in degrees, counter-clockwise, and a turned symbol keeps to black and
    white unless it is `smooth` (interpolated between pixels); `sigma` is the standard deviation of a Gaussian blur, in
    pixels.
    """
    gray = numpy.where(dark, 0, LIGHT).astype(numpy.uint8)
    gray = gray.repeat(pixels, axis=0).repeat(pixels, axis=1)
    gray = numpy.pad(gray, MARGIN, constant_values=page)
    quarters, rest = divmod(angle, 90)
    gray = numpy.rot90(gray, quarters)
    image = Image.fromarray(numpy.ascontiguousarray(gray))
    if rest:
        resample = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        image = image.rotate(rest, resample=resample, expand=True, fillcolor=page)
    return blurred(image, sigma) if sigma else image


def blurred(image, sigma):
    """A true Gaussian, cut off at four standard deviations: the library's own is an approximation by boxes."""
    reach = int(4 * sigma + 0.5)
    kernel = numpy.exp(-0.5 * (numpy.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(numpy.float32)
    gray = numpy.asarray(image, dtype=numpy.float32)
    for _ in range(2):
        padded = numpy.pad(gray, ((reach, reach), (0, 0)), mode="edge")
        height = gray.shape[0]
        # Once down the columns, and turned, once more.
        gray = sum(weight * padded[at : at + height] for at, weight in enumerate(kernel)).T
    return Image.fromarray(numpy.rint(gray).astype(numpy.uint8))
