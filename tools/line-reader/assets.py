"""Where fonts and word lists come from: the folder that bundle_assets.py unpacked, then the system."""

import os
from pathlib import Path


def asset_folder() -> Path:
    return Path(os.environ.get("LINE_READER_ASSETS", "build/line-reader/assets"))
