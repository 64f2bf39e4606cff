"""The packages, as no table of pyproject.toml can find those of four folders under one name."""

from setuptools import find_packages, setup

BESIDE = find_packages(include=["widgets*", "reports*", "notebooks*"])
setup(packages=[*find_packages(include=["mstar*"]), *(f"mstar.{name}" for name in BESIDE)])
