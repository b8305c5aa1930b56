"""Read black-and-white PNG images, the one kind that Omniglot consists of."""

import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# bit depth 1, greyscale, deflate, standard filters, not interlaced
_KIND = (1, 0, 0, 0, 0)


def read_black_white_png(content, shape):
    """Decode a PNG image of one bit a pixel.

    Parameters
    ----------
    content : bytes
        The file. Greyscale of one bit, not interlaced, rows stored unfiltered.

    shape : tuple of (int, int)
        Expected height and width in pixels.

    Returns
    -------
    image : ndarray of shape `shape`, dtype uint8
        0 is black, 1 is white.
    """
    header, compressed = _read_chunks(content)
    height, width = shape
    if header != (width, height, *_KIND):
        raise ValueError(
            f"The image has the PNG header {header}; only {width} x {height} pixels of "
            "one bit, greyscale, not interlaced, are read."
        )
    row_bytes = 1 + (width + 7) // 8  # the first byte names the filter
    # the limit stops a small file from unpacking to a huge one
    packed = zlib.decompressobj().decompress(compressed, height * row_bytes)
    if len(packed) != height * row_bytes:
        raise ValueError(f"The image data end after {len(packed)} bytes.")
    rows = np.frombuffer(packed, dtype=np.uint8).reshape(height, row_bytes)
    if rows[:, 0].any():
        raise ValueError("The image has filtered rows; only unfiltered ones are read.")
    return np.unpackbits(rows[:, 1:], axis=1, count=width)  # (H, bytes) -> (H, W)


def _read_chunks(content):
    """Fields of the header chunk, and the joined data chunks."""
    if not content.startswith(_SIGNATURE):
        raise ValueError("The image is not a PNG file.")
    header, parts, position = None, [], len(_SIGNATURE)
    try:
        while position < len(content):
            length, kind = struct.unpack_from(">I4s", content, position)
            body = content[position + 8 : position + 8 + length]
            if kind == b"IHDR":
                header = struct.unpack(">IIBBBBB", body)
            elif kind == b"IDAT":
                parts.append(body)
            position += 12 + length  # length, kind, body, CRC
    except struct.error as error:
        raise ValueError("The PNG file is cut off.") from error
    return header, b"".join(parts)
