#!/usr/bin/env python3
"""Unpacks a bundle made by tools/gpu-bundle. usage: unpack.py BUNDLE FOLDER"""
import hashlib
import json
import lzma
import os
import pathlib
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


def sources_digest(root):
    """Of the files a bundle's JavaScript is made from, as tools/gpu-bundle.mjs computes it."""
    value = hashlib.sha256()
    for folder in ("ts", "test/parity"):
        below = pathlib.Path(root, folder)
        names = sorted(str(path.relative_to(below)) for path in below.rglob("*") if path.is_file())
        for name in names:
            value.update(f"{folder}/{name}\0".encode())
            value.update((below / name).read_bytes())
    return value.hexdigest()


def about(folder):
    return json.loads(pathlib.Path(folder, "bundle.json").read_text())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    unpack(*sys.argv[1:])
