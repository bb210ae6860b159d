#!/usr/bin/env python3
"""Unpacks a bundle made by tools/gpu-bundle. usage: unpack.py BUNDLE FOLDER"""
import lzma
import os
import shutil
import sys
import tarfile


def unpack(bundle, folder):
    """Replaces FOLDER: files of an older bundle must not mix with these. Needs Python alone, no tar and no xz."""
    part = folder.rstrip("/") + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    safe = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
    with tarfile.open(bundle) as outer:
        for member in outer:
            source = outer.extractfile(member)
            if member.name == "node.xz":
                with lzma.open(source) as packed, open(f"{part}/node", "wb") as node:
                    shutil.copyfileobj(packed, node, 1 << 20)
                os.chmod(f"{part}/node", 0o755)
            elif member.name == "files.tar.xz":
                with tarfile.open(fileobj=source, mode="r:xz") as inner:
                    inner.extractall(part, **safe)
            else:
                raise SystemExit(f"{bundle}: unexpected member {member.name}")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(part, folder)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    unpack(*sys.argv[1:])
