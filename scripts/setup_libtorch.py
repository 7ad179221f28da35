#!/usr/bin/env python3
"""Install the libtorch that the engine links against into `.deps/libtorch`.

The files come from the PyPI wheel `torch==2.11.0`. Without a GPU only the CPU library, its
headers and the two small CUDA stubs that the CPU library needs are kept; with a GPU
(`nvidia-smi` answers, or SKEIN_SETUP_GPU=1) the wheel is installed with its dependencies, and `lib` points into it.
A `LIBTORCH` set by the user wins: then this script only checks that it is there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".deps" / "libtorch"
WHEELS = ["torch==2.11.0", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"]
# Shared objects that `libtorch_cpu.so` needs, by file name.
LIBRARIES = {"libc10.so", "libtorch_cpu.so", "libgomp.so.1", "libcudart.so.13", "libcupti.so.13"}
STAMP = "cpu 2.11.0"


def fail(message: str) -> None:
    sys.exit(f"setup: {message}")


def has_gpu() -> bool:
    tool = shutil.which("nvidia-smi")
    return bool(tool) and subprocess.run([tool, "-L"], capture_output=True).returncode == 0


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check", "--quiet"]
    if subprocess.run(command).returncode != 0:
        fail("pip could not fetch PyTorch 2.11.0; check the network and that this is Python 3.11 or newer")


def link_script(lib: Path) -> None:
    """A `libtorch.so` that stands for the CPU library alone, so one binary serves CPU and GPU."""
    (lib / "libtorch.so").write_text("INPUT(libtorch_cpu.so)\n")


def unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = Path(entry.filename)
            if entry.filename.startswith("torch/include/") and not entry.is_dir():
                out = target / name.relative_to("torch")
            elif name.name in LIBRARIES and name.parent.name == "lib":
                out = target / "lib" / name.name
            else:
                continue
            out.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, open(out, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def install_cpu() -> None:
    with tempfile.TemporaryDirectory(dir=TARGET.parent) as temporary:
        wheels, fresh = Path(temporary) / "wheels", Path(temporary) / "libtorch"
        print("setup: fetching libtorch 2.11.0 (about 540 MB) …", flush=True)
        pip("download", "--no-deps", "--dest", str(wheels), *WHEELS)
        for wheel in wheels.glob("*.whl"):
            unpack(wheel, fresh)
        missing = LIBRARIES - {file.name for file in (fresh / "lib").iterdir()}
        if missing:
            fail(f"the PyTorch wheel lacks {', '.join(sorted(missing))}")
        link_script(fresh / "lib")
        finish(fresh, STAMP)


def install_gpu() -> None:
    site = TARGET.parent / "python"
    print("setup: fetching PyTorch 2.11.0 with CUDA (about 3 GB) …", flush=True)
    pip("install", "--upgrade", "--target", str(site), WHEELS[0])
    fresh = TARGET.parent / "libtorch.new"
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "lib").mkdir(parents=True)
    (fresh / "include").symlink_to(site / "torch" / "include")
    sources = [*(site / "torch" / "lib").glob("*.so*"), *site.glob("nvidia/*/lib/*.so*")]
    for source in sources:
        if source.name not in ("libtorch.so", "libtorch_cuda.so"):
            (fresh / "lib" / source.name).symlink_to(source)
    link_script(fresh / "lib")
    # Kept in a folder of its own: the binary must not link it, it is loaded when a GPU is used.
    (fresh / "cuda").mkdir()
    (fresh / "cuda" / "libtorch_cuda.so").symlink_to(site / "torch" / "lib" / "libtorch_cuda.so")
    finish(fresh, STAMP.replace("cpu", "gpu"))


def finish(fresh: Path, stamp: str) -> None:
    (fresh / "build-version").write_text("2.11.0\n")
    (fresh / "stamp").write_text(stamp)
    shutil.rmtree(TARGET, ignore_errors=True)
    os.replace(fresh, TARGET)


def main() -> None:
    own = os.environ.get("LIBTORCH")
    if own:
        if not (Path(own) / "lib" / "libtorch_cpu.so").exists():
            fail(f"LIBTORCH={own} has no lib/libtorch_cpu.so; unset it to let this script install libtorch")
        print(f"setup: using LIBTORCH={own}")
        return
    wanted = os.environ.get("SKEIN_SETUP_GPU")
    gpu = wanted == "1" if wanted else has_gpu()
    stamp = STAMP.replace("cpu", "gpu") if gpu else STAMP
    if (TARGET / "stamp").exists() and (TARGET / "stamp").read_text() == stamp:
        return
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    install_gpu() if gpu else install_cpu()
    print(f"setup: libtorch is in {TARGET.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
