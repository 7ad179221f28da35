#!/usr/bin/env python3
"""Put FashionMNIST into `.deps/datasets/fashion-mnist`, from whichever source works first.

1. a folder given with `--data-dir` (used where it is);
2. the folder of an installed Debian package `dataset-fashion-mnist`;
3. that package, fetched with apt and unpacked here, which needs no root;
4. the project's own download.

Every file is checked against the SHA-256 of its uncompressed content.
"""

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".deps" / "datasets" / "fashion-mnist"
PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
DOWNLOAD = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


class Unusable(Exception):
    """A source that does not work, and why."""


def content(folder: Path, name: str) -> bytes:
    plain, zipped = folder / name, folder / f"{name}.gz"
    try:
        if plain.exists():
            return plain.read_bytes()
        if zipped.exists():
            return gzip.decompress(zipped.read_bytes())
    except (OSError, EOFError) as error:
        raise Unusable(f"{name} in {folder} cannot be read: {error}") from error
    raise Unusable(f"{folder} has no {name} (with or without .gz)")


def check(folder: Path) -> None:
    for name, expected in SHA256.items():
        if hashlib.sha256(content(folder, name)).hexdigest() != expected:
            raise Unusable(f"{name} in {folder} is damaged: its SHA-256 differs")


def copy_from(folder: Path) -> None:
    """Copy checked files into place, all or nothing."""
    check(folder)
    fresh = TARGET.with_name("fashion-mnist.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in SHA256:
        (fresh / name).write_bytes(content(folder, name))
    shutil.rmtree(TARGET, ignore_errors=True)
    os.replace(fresh, TARGET)


def from_installed() -> None:
    copy_from(INSTALLED)


def from_package() -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unusable("this is not a Debian system")
    with tempfile.TemporaryDirectory() as temporary:
        run = lambda *command: subprocess.run(command, cwd=temporary, capture_output=True, text=True)
        got = run("apt-get", "download", PACKAGE)
        if got.returncode != 0 and os.geteuid() == 0:
            run("apt-get", "update")
            got = run("apt-get", "download", PACKAGE)
        packages = list(Path(temporary).glob("*.deb"))
        if got.returncode != 0 or not packages:
            lines = got.stderr.strip().splitlines()
            raise Unusable(lines[-1] if lines else "apt-get download failed")
        unpacked = Path(temporary) / "unpacked"
        if run("dpkg-deb", "--extract", str(packages[0]), str(unpacked)).returncode != 0:
            raise Unusable("the package could not be unpacked")
        copy_from(unpacked / INSTALLED.relative_to("/"))


def from_download() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        for name in SHA256:
            try:
                with urllib.request.urlopen(f"{DOWNLOAD}/{name}.gz", timeout=60) as source:
                    (Path(temporary) / f"{name}.gz").write_bytes(source.read())
            except OSError as error:
                raise Unusable(str(error)) from error
        copy_from(Path(temporary))


def link(folder: Path) -> None:
    check(folder)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    if TARGET.is_symlink():
        TARGET.unlink()
    else:
        shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.symlink_to(folder.resolve(), target_is_directory=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch FashionMNIST.")
    parser.add_argument("--data-dir", type=Path, help="a folder that holds the four idx files already")
    given = parser.parse_args().data_dir
    try:
        if given:
            return link(given)
        return check(TARGET)
    except Unusable as error:
        if given:
            sys.exit(f"data: {error}")
    sources = {
        "the installed Debian package": from_installed,
        "the Debian package": from_package,
        "the project's download": from_download,
    }
    reasons = []
    for title, source in sources.items():
        try:
            source()
            print(f"data: FashionMNIST is in {TARGET.relative_to(ROOT)}, from {title}")
            return None
        except Unusable as error:
            reasons.append(f"  {title}: {error}")
    return sys.exit("\n".join([
        "data: FashionMNIST could not be had from any source:",
        *reasons,
        "  give a folder with its four idx files: make demo DATA_DIR=/path",
    ]))


if __name__ == "__main__":
    main()
