"""`mstar convert`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from mstar.errors import check_range
from mstar.files import check_new


def convert(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """turn a released checkpoint into a folder that MstarModel and MstarProcessor load"""
    parser.add_argument("file", help="the released .pth (or its weights as .safetensors)")
    parser.add_argument("out", help="a new or empty folder")
    parser.add_argument(
        "--tokenizer",
        required=True,
        metavar="PATH_OR_NAME",
        help="BERT's uncased tokenizer: a folder with its vocab.txt, or a name on the hub",
    )
    parser.add_argument(
        "--download", action="store_true", help="the tokenizer may be fetched from the hub"
    )
    parser.add_argument(
        "--vision", metavar="FILE", help="where to take what FILE lacks: a stage-4 file has no φ"
    )
    parser.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="resize the position table to this size"
    )

    def run(args: argparse.Namespace) -> None:
        for file in filter(None, (args.file, args.vision)):
            if not Path(file).is_file():
                raise FileNotFoundError(f"there is no checkpoint {file}.")
        check_new(Path(args.out))
        if args.image_size is not None:
            check_range("image-size", args.image_size, 1, 2**13)
        from mstar.io.released import convert

        folder = convert(
            args.file,
            args.out,
            args.tokenizer,
            args.download,
            vision=args.vision,
            image_size=args.image_size,
        )
        print(f"saved {folder}")

    return run
