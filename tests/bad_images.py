"""Image files as people have them, made without the memory that some of them claim."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

HTML = b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>"


def smooth_image(height=218, width=178) -> Image.Image:
    """Colours that change slowly, so that a JPEG of it is near to it."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind="JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def half(encoded: bytes) -> bytes:
    return encoded[: len(encoded) // 2]


def turned(kind="JPEG", image=None, orientation=6) -> bytes:
    """The image as a camera stores it that was held upright: to be turned clockwise to be shown."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image or smooth_image(), kind, exif=exif)


def png_bomb(side=30_000) -> bytes:
    """A PNG that says it is `side` x `side`."""
    return _png(side, side, 8, 2, 0, bytes(1000))


def png(pixels: np.ndarray, interlaced=False) -> bytes:
    """A PNG of uint8 or uint16 `[height, width, channels]`: grey, grey and alpha, RGB or RGBA; Pillow has not all."""
    steps = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [pixels[y::dy, x::dx] for y, x, dy, dx in steps] if interlaced else [pixels]
    bits = 8 * pixels.itemsize
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for part in parts for row in part if row.size)
    height, width, channels = pixels.shape
    return _png(width, height, bits, {1: 0, 2: 4, 3: 2, 4: 6}[channels], int(interlaced), rows)


def _png(width, height, bits, colour_type, interlaced, rows) -> bytes:
    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def cmyk_jpeg(adobe: int | None) -> bytes:
    """A JPEG with four channels and noise in all: Adobe's CMYK (0) or YCCK (2), or of no word about Adobe."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 4), np.uint8)
    encoded = bytearray(encode(Image.fromarray(noise, "CMYK")))
    marker = encoded.index(b"Adobe") - 4
    if adobe is None:
        del encoded[marker : marker + 16]
    else:
        encoded[marker + 15] = adobe
    return bytes(encoded)


def jpeg_bomb(side=30_000, progressive=False) -> bytes:
    """A JPEG that says it is `side` x `side`; its decoder would fill up what the file lacks."""
    encoded = bytearray(encode(smooth_image(), progressive=progressive))
    frame = encoded.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    encoded[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(encoded)
