"""What light, lens and camera do to a picture: shade, shadow, glare, blur, noise, JPEG."""

import math

import cv2
import numpy as np


def _bell() -> np.ndarray:
    """256 equally likely values of normal noise with deviation 1, float32."""
    grid = np.linspace(-4, 4, 4001)
    share = np.cumsum(np.exp(-(grid**2) / 2))
    return np.interp((np.arange(256) + 0.5) / 256, share / share[-1], grid).astype(np.float32)


_BELL = _bell()


def shine(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Light over a whole picture float32 [h, w, 3], in place: graded, with shadows and glare."""
    height, width, _ = picture.shape
    if rng.random() < 0.7:
        strength = float(rng.uniform(0.1, 0.45))
        grid = (1 + strength * rng.uniform(-1, 1, (3, 3, 1))).astype(np.float32)
        picture *= cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    if rng.random() < 0.3:
        _shadow(rng, picture)
    if rng.random() < 0.2:
        _glare(rng, picture)


def _shadow(rng, picture):
    """Of something outside of the picture: a band or a corner gets darker, with a soft edge."""
    height, width, _ = picture.shape
    mask = np.zeros((height // 4, width // 4), np.float32)
    points = rng.uniform(-0.3, 1.3, (int(rng.integers(3, 5)), 2)) * (width // 4, height // 4)
    cv2.fillPoly(mask, [cv2.convexHull(points.astype(np.int32))], 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.6, 6)))
    mask = cv2.resize(mask, (width, height)) * np.float32(rng.uniform(0.25, 0.55))
    picture *= (1 - mask)[..., None]


def _glare(rng, picture):
    """A lamp or the sun mirrored: a bright soft spot, long or round."""
    height, width, _ = picture.shape
    mask = np.zeros((height // 4, width // 4), np.float32)
    at = (int(rng.integers(0, width // 4)), int(rng.integers(0, height // 4)))
    axes = (max(1, int(width * float(rng.uniform(0.01, 0.06)))),
            max(1, int(height * float(rng.uniform(0.005, 0.03)))))  # fmt: skip
    cv2.ellipse(mask, at, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(1.5, 5)) * height / 448)
    # Towards white, and never all the way: what is written below stays to be seen.
    mask = cv2.resize(mask, (width, height))[..., None] * np.float32(rng.uniform(0.25, 0.6))
    picture += (250 - picture) * mask


def cast(
    rng: np.random.Generator,
    picture: np.ndarray,
    alpha: np.ndarray,
    at: tuple[int, int],
    reach: float,
) -> None:
    """The shadow of a board on what is behind it, in place.

    Args:
        picture: float32 [height, width, 3].
        alpha: opacity of the board [h, w] from 0 to 255, its top left corner `at` (x, y).
        reach: how far the shadow falls at most, px.
    """
    fall = max(1, round(float(rng.uniform(0.15, 1)) * reach))
    across = round(float(rng.uniform(-1, 1)) * fall)
    x, y = at[0] - 2 * fall + across, at[1] - 2 * fall + fall // 2
    shade = cv2.GaussianBlur(np.pad(alpha, 2 * fall), (0, 0), 0.6 * fall)
    x0, y0 = max(0, x), max(0, y)
    view = picture[y0 : y + shade.shape[0], x0 : x + shade.shape[1]]
    shade = shade[y0 - y :, x0 - x :][: view.shape[0], : view.shape[1], None]
    view *= 1 - np.float32(rng.uniform(0.2, 0.65) / 255) * shade


def develop(
    rng: np.random.Generator, picture: np.ndarray, smallest: float, blur: float, noise: float
) -> np.ndarray:
    """The camera: exposure, colour, blur, noise, JPEG; uint8 [h, w, 3].

    Args:
        picture: float32 [h, w, 3].
        smallest: nominal size in px of the smallest text: blur leaves it readable.
        blur: largest Gaussian, px.
        noise: largest deviation, grey levels.
    """
    colour = 1 + 0.05 * rng.normal(0, 1, 3)
    # Nobody keeps a picture that is all black or all white.
    level = max(1.0, float(picture.mean()))
    exposure = float(np.clip(np.exp(rng.normal(0, 0.16)), min(2.5, 50 / level), 190 / level))
    haze = float(rng.uniform(0, 40)) if rng.random() < 0.3 else 0.0
    picture *= np.asarray(colour * exposure * (1 - haze / 255), np.float32)
    if haze:
        picture += np.float32(haze)
    if rng.random() < 0.5:  # defocus
        most = min(blur, 0.045 * smallest)
        picture = cv2.GaussianBlur(picture, (0, 0), max(0.15, float(rng.uniform(0.2, 1)) * most))
    if rng.random() < 0.2:
        picture = _moved(rng, picture, float(rng.uniform(0.4, 1)) * min(6 * blur, 0.15 * smallest))
    if rng.random() < 0.75:
        bearable = noise * min(1.0, smallest / 30)
        _noise(rng, picture, float(rng.uniform(0.04, 1)) ** 2 * bearable)
    pixels = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))]
        # JPEG thinks in blue, green, red here
        stored = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), quality)[1]
        pixels = np.ascontiguousarray(cv2.imdecode(stored, cv2.IMREAD_COLOR)[..., ::-1])
    return pixels


def _moved(rng, picture, length):
    """A hand that shook: blurred along a line of `length` px."""
    if length < 1.2:
        return picture
    half = math.ceil(length / 2)
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    angle = float(rng.uniform(0, math.pi))
    for step in np.linspace(-length / 2, length / 2, 4 * half + 1):
        x, y = half + step * math.cos(angle), half + step * math.sin(angle)
        kernel[round(y), round(x)] += 1
    return cv2.filter2D(picture, -1, kernel / kernel.sum())


def _noise(rng, picture, deviation):
    """A sensor's: mostly of brightness, some of it of colour and coarser."""
    height, width, _ = picture.shape
    fine = np.frombuffer(rng.bytes(height * width), np.uint8).reshape(height, width)
    picture += (_BELL[fine] * np.float32(deviation))[..., None]
    small = (height // 2, width // 2, 3)
    coarse = np.frombuffer(rng.bytes(math.prod(small)), np.uint8).reshape(small)
    picture += cv2.resize(_BELL[coarse] * np.float32(0.6 * deviation), (width, height))
