"""How a flat board lies in the picture: turned in space, seen by a camera."""

import math

import cv2
import numpy as np

from mstar.data import areas


def corners(
    rng: np.random.Generator, width: float, height: float, roll: float, tilt: float
) -> np.ndarray:
    """Where the corners of a flat rectangle come to lie: float [4, 2] px around (0, 0).

    Args:
        roll: largest turn in the picture, degrees; one board in ten is turned by up to three
            times as much.
        tilt: 1 = up to 60° away from the camera sideways and 35° up or down, 0 = frontal.
    """
    kind = rng.random()
    reach = 0.25 if kind < 0.3 else 0.6 if kind < 0.65 else 1.0
    yaw = math.radians(float(rng.uniform(-60, 60))) * reach * tilt
    pitch = math.radians(float(rng.uniform(-35, 35))) * reach * tilt
    angle = math.radians(float(rng.normal(0, roll / 3)))
    if rng.random() < 0.1:
        angle = math.radians(float(rng.uniform(-3, 3)) * roll * max(tilt, 0.3))
    distance = float(rng.uniform(0.8, 2.5)) * max(width, height)
    x = np.array([-0.5, 0.5, 0.5, -0.5]) * width
    y = np.array([-0.5, -0.5, 0.5, 0.5]) * height
    x, depth = x * math.cos(yaw), x * math.sin(yaw)
    y, depth = (
        y * math.cos(pitch) - depth * math.sin(pitch),
        (y * math.sin(pitch) + depth * math.cos(pitch)),
    )
    near = distance / (distance + depth)
    x, y = x * near, y * near
    return np.stack(
        [x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)], 1
    )


def matrix(width: float, height: float, quad: np.ndarray) -> np.ndarray:
    """The homography [3, 3] that takes a flat rectangle to four corners."""
    flat = areas.corners(0, 0, width, height).astype(np.float32)
    return cv2.getPerspectiveTransform(flat, quad.astype(np.float32))


def project(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Flat points [n, 2] -> points of the picture [n, 2]."""
    mapped = np.c_[points, np.ones(len(points))] @ homography.T
    return mapped[:, :2] / mapped[:, 2:]


def warp(flat: np.ndarray, homography: np.ndarray, width: int, height: int) -> np.ndarray:
    """A flat image [h, w] or [h, w, c] as it lies in a picture of that size, zero around it."""
    # OpenCV counts from pixel centres, everything else here from the corners of pixels.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    return cv2.warpPerspective(
        flat, np.linalg.inv(half) @ homography @ half, (width, height), flags=cv2.INTER_LINEAR
    )


def inside(outline: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 [height, width]: 1 within a polygon [points, 2]."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round((outline - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return mask
