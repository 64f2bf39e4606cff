"""Start one part: `python tests/gpu/start.py PART …`, from anywhere.

Not `python -m tests.gpu.PART`: an installed package that happens to be called `tests` would hide
this folder, which is no package of its own.
"""

import runpy
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    tests = sys.modules["tests"] = types.ModuleType("tests")
    tests.__path__ = [str(ROOT / "tests")]
    sys.path[0] = str(ROOT)  # it was this folder
    del sys.argv[0]
    runpy.run_module(f"tests.gpu.{sys.argv[0]}", run_name="__main__")
