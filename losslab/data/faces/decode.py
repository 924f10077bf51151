"""Encoded bytes to pixels: by the formats that are named here, and only as large as a face may be.

Pillow is imported when the first image is decoded: who trains on digits does not need it.
"""

import io

import numpy as np

from losslab.data.base import DataError

FORMATS = ("JPEG", "PNG", "PPM", "WEBP")  # PPM is PGM too
LARGEST = 4096  # pixels of a side


def decode(payload: bytes, what: str) -> np.ndarray:
    """The image, uint8 [height width 3], RGB. Its size is checked before a pixel is decoded.

    `what` names file and record for the DataError that anything but a whole image raises.
    """
    Image = _pillow()
    try:
        if not all(0 < side <= LARGEST for side in _webp_size(payload)):
            raise _too_large(what)
        with Image.open(io.BytesIO(payload), formats=FORMATS) as image:
            if not all(0 < side <= LARGEST for side in image.size):
                raise _too_large(what)
            if image.mode.startswith("I"):  # 16 bits a pixel
                return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
            return np.array(image if image.mode == "RGB" else image.convert("RGB"))
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(what) from error
    except Exception as error:  # A decoder that meets hostile bytes may trip over anything.
        raise DataError(f"{what} is not a whole JPEG, PNG, PGM or WebP image: replace it or leave it out.") from error


def fitted(image: np.ndarray, size: int, crop: float, grey: bool) -> np.ndarray:
    """The middle square of an image, uint8 [h w 3], as uint8 [c size size]; c is 1 for grey, else 3.

    `crop` is the share of the square's side that is cut off around the middle.
    """
    Image = _pillow()
    height, width = image.shape[:2]
    side = max(1, round(min(height, width) * (1 - crop)))
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(image[top : top + side, left : left + side])
    if grey:
        square = square.convert("L")
    if side != size:
        square = square.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(square)
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def png(image: np.ndarray) -> bytes:
    """An image, uint8 [h w] or [h w 3], as a PNG file."""
    file = io.BytesIO()
    _pillow().fromarray(image).save(file, "PNG")
    return file.getvalue()


def suffix(payload: bytes) -> str:
    """The file name suffix of an encoded image, by how it begins."""
    if payload[:2] == b"\xff\xd8":
        return ".jpg"
    if payload[:4] == b"\x89PNG":
        return ".png"
    if payload[:4] == b"RIFF" and payload[8:12] == b"WEBP":
        return ".webp"
    if payload[:2] in (b"P2", b"P5"):
        return ".pgm"
    if payload[:2] in (b"P3", b"P6"):
        return ".ppm"
    raise DataError("A record is no JPEG, PNG, PGM or WebP image: leave it out.")


def _webp_size(payload: bytes) -> tuple[int, int]:
    """Width and height that a WebP file announces (RFC 9649); (1, 1) for everything else.

    Its decoder makes room for the canvas as soon as the file is opened, before Pillow can be asked for the size.
    """
    kind, body = payload[12:16], payload[20:30]
    if payload[:4] != b"RIFF" or payload[8:12] != b"WEBP" or len(body) < 10:
        return 1, 1
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


def _too_large(what: str) -> DataError:
    return DataError(f"{what} is empty or larger than {LARGEST} x {LARGEST} pixels: make it smaller or leave it out.")


def _pillow():  # noqa: ANN202
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("Images are decoded by Pillow, which is not installed: pip install pillow.") from error
    return Image
