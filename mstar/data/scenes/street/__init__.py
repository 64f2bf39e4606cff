"""STREET: scenes that look like photographs of a street, a shop or a desk, with text in them.

The parts, in reading order: `writing` (what is written, on which boards), `letters` (lines drawn
flat: spaced, bent, vertical), `pose` (perspective, and where a word comes to lie), `surfaces`
(textures), `grounds` (a folder of photographs, or a made-up world), `plates` (what carries a
text, and how the ink lies on it), `obstacles` (what stands before a text), `light` (shadow, glare,
blur, noise, JPEG), `composition` (all of it together).

Sizes are in px of the image, colours are RGB from 0 to 255. The same arguments give the same
image with the same versions of NumPy, Pillow and OpenCV on the same kind of processor.
"""

from mstar.data.scenes.street.composition import compose, lone_word

__all__ = ["compose", "lone_word"]
