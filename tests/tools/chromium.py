"""Find the browser of the tests, or install it from Debian's packages.

The tests drive the system's Chromium, which gets its security updates from there.

    python tests/tools/chromium.py --install
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PACKAGES = ("chromium", "fonts-dejavu-core")
FLAGS = (
    "--no-sandbox",  # root in a container has no user namespaces to build a sandbox from
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowser(Exception):
    """There is no Chromium and no way to install one."""


def find() -> str | None:
    """Return the path of a Chromium, or ``None``; the variable ``CHROMIUM`` names another one."""
    for name in (os.environ.get("CHROMIUM"), *NAMES):
        path = shutil.which(name) if name else None
        if path:
            return path
    return None


def install() -> None:
    """Install Chromium with apt-get, as root or through a sudo that asks nothing.

    Raises:
        NoBrowser: This is no Debian, or we may not install packages.
    """
    if not shutil.which("apt-get"):
        raise NoBrowser("this machine has no apt-get: install Chromium and say where it is in CHROMIUM")
    prefix: list[str] = []
    if os.geteuid() != 0:
        if subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode != 0:
            raise NoBrowser(f"please run: sudo apt-get install {' '.join(PACKAGES)}")
        prefix = ["sudo", "-n"]
    environment = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive"]
    subprocess.run([*environment, "apt-get", "update", "-qq"], check=True)
    subprocess.run(
        [*environment, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES], check=True
    )


def main() -> int:
    """Print the browser's path; with ``--install`` install it first where there is none."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--install", action="store_true")
    options = parser.parse_args()
    try:
        if find() is None and options.install:
            install()
    except (NoBrowser, FileNotFoundError, subprocess.CalledProcessError) as error:
        print(f"no browser for the tests: {error}", file=sys.stderr)
        return 1
    path = find()
    print(path or "no Chromium here")
    return 0 if path else 1


if __name__ == "__main__":
    sys.exit(main())
