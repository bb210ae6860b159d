"""Where fonts and word lists come from: the system, or the folder of bundle_assets.py that LINE_READER_ASSETS names. Never a mix of both."""

import os
from pathlib import Path


def font_folders() -> list[Path]:
    bundle = os.environ.get("LINE_READER_ASSETS")
    return [Path(bundle) / "fonts"] if bundle else [Path("/usr/share/fonts"), Path("/usr/share/texmf/fonts")]


def word_folder() -> Path:
    bundle = os.environ.get("LINE_READER_ASSETS")
    return Path(bundle) / "dict" if bundle else Path("/usr/share/dict")
