"""A page as PDF or picture, made by a browser of the Chromium family that is on the machine.

The browser is driven by flags alone, so nothing but it must be installed. It runs with a profile of its own,
in a folder that is removed, and is ended with whatever it has started, whether it finishes or not.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import MissingExtraError, OutputError, UsageError, printable
from ..solvers.apart import guard
from ..texts import _

VARIABLE = "ROOFALLOC_BROWSER"
SECONDS = 300.0  # a page takes two or three; a machine may be busy
WIDTH = 1240  # of a picture [CSS pixels]
SHARP = 2  # pixels of the picture for each of these
TALLEST = 16_000  # pixels that a browser draws in one picture

_NAMES = (
    "chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome",
    "microsoft-edge-stable", "microsoft-edge", "msedge", "brave-browser",
)  # fmt: skip
_MACOS = ("Google Chrome", "Chromium", "Microsoft Edge", "Brave Browser")
_WINDOWS = (r"Google\Chrome\Application\chrome.exe", r"Microsoft\Edge\Application\msedge.exe")
_QUIET = (
    "--headless", "--disable-gpu", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
    "--disable-sync", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-crash-reporter", "--disable-breakpad", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--mute-audio", "--password-store=basic", "--use-mock-keychain",
    "--virtual-time-budget=10000",
)  # fmt: skip
_SEEN = re.compile(rb'<html[^>]* data-seen="(\d+) (\d+) (\d+)"')


def find(named: str | os.PathLike[str] | None = None) -> str:
    """Find a browser that prints: the one that is named, else by the usual names and places.

    Parameters
    ----------
    named : a program or its path; None: what the environment variable ROOFALLOC_BROWSER names, if it is set

    Returns
    -------
    str : its path

    Raises
    ------
    UsageError : the browser that is named is not there
    MissingExtraError : there is none
    """
    if wanted := named or os.environ.get(VARIABLE):
        if found := shutil.which(wanted):
            return found
        raise UsageError(_("the browser {browser} is not there or cannot be run", browser=str(wanted)))
    for name in (*_NAMES, *_places()):
        if found := shutil.which(name):
            return found
    raise MissingExtraError(
        _(
            "PDF and PNG are made by Chromium, Chrome or Edge, and none was found: install one (Debian: apt "
            "install chromium fonts-noto-cjk), or name it with --browser or in {variable}; the page itself "
            "(-o report.html) needs none, and any browser prints it",
            variable=VARIABLE,
        )
    )


def _places() -> Iterator[str]:
    """Where browsers stand that no name leads to."""
    for name in _MACOS:
        yield f"/Applications/{name}.app/Contents/MacOS/{name}"
    for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
        if base := os.environ.get(variable):
            yield from (os.path.join(base, path) for path in _WINDOWS)


def pdf(html: str, browser: str, seconds: float = SECONDS) -> bytes:
    """A page as PDF, on the paper that its style asks for.

    Parameters
    ----------
    html : the page, whole
    browser : from `find`
    seconds : it may take at most so long

    Returns
    -------
    bytes : the file

    Raises
    ------
    OutputError : the browser fails, or takes longer
    """
    with _folder(browser) as folder:
        out = folder / "page.pdf"
        _run(browser, folder, html, ["--no-pdf-header-footer", f"--print-to-pdf={out}"], seconds)
        return _made(out, b"%PDF-", browser)


def png(html: str, browser: str, seconds: float = SECONDS) -> bytes:
    """A page as a picture of all of it, two pixels to one of the page where it is not too long.

    Parameters and errors are those of `pdf`. The page says how high it is, and how large its window, in
    ``data-seen`` of its root: the browser is asked first, and then photographs.

    Returns
    -------
    bytes : the file
    """
    with _folder(browser) as folder:
        ask = 900
        told = _run(browser, folder, html, [f"--window-size={WIDTH},{ask}", "--dump-dom"], seconds)
        seen = _SEEN.search(told)
        if seen is None:
            raise OutputError(_("the browser {browser} did not run the page's script", browser=browser))
        height, width, high = map(int, seen.groups())
        sharp = max(1, min(SHARP, TALLEST // height))
        out = folder / "page.png"
        size = f"{2 * WIDTH - width},{height + ask - high}"  # where a window has a frame, it comes on top
        flags = [f"--window-size={size}", f"--force-device-scale-factor={sharp}", f"--screenshot={out}"]
        _run(browser, folder, html, flags, seconds)
        made = _made(out, b"\x89PNG", browser)
    if struct.unpack(">I", made[20:24])[0] < sharp * height:
        raise OutputError(_("the browser {browser} cut the picture short", browser=browser))
    return _upper(made, sharp * height)


def _upper(picture: bytes, rows: int) -> bytes:
    """The upper rows of a PNG. A packed row refers to rows above it alone, so the others just go."""
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        chunks.append((picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]))
        at += length + 12
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    head = chunks[0][1]
    step = len(pixels) // struct.unpack(">I", head[4:8])[0]
    kept = [
        (b"IHDR", head[:4] + struct.pack(">I", rows) + head[8:]),
        (b"IDAT", zlib.compress(pixels[: rows * step])),
        (b"IEND", b""),
    ]
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in kept
    )
    return picture[:8] + b"".join(packed)


@contextmanager
def _folder(browser: str) -> Iterator[Path]:
    """A folder that the browser may use, gone at the end. A snap sees nothing but a folder of its own."""
    resolved = os.path.realpath(browser)
    snap = Path.home() / "snap" / Path(browser).name / "common"
    inside = snap if "/snap/" in browser or Path(resolved).name == "snap" else None
    with tempfile.TemporaryDirectory(
        prefix="roofalloc-page-",
        dir=inside if inside and inside.is_dir() else None,
        ignore_cleanup_errors=True,
    ) as folder:
        yield Path(folder)


def _run(browser: str, folder: Path, html: str, flags: Sequence[str], seconds: float) -> bytes:
    """Open a page and wait until the browser is done; what it printed to standard output."""
    page, errors = folder / "page.html", folder / "errors"
    page.write_text(html, encoding="utf-8")
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [browser, *_QUIET, *root, profile, *flags, page.as_uri()]
    stdin, held = os.pipe()  # held open: should this process be killed, the guard ends the browser
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(folder), *command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env={**os.environ, "CHROME_CONFIG_HOME": str(folder / "config")},  # or crash reports stay at home
        )
    os.close(stdin)
    try:
        told, _nothing = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        message = _("the browser {browser} took longer than {seconds:g} s", browser=browser, seconds=seconds)
        raise OutputError(message) from None
    finally:
        _end(process)
        os.close(held)
        assert process.stdout is not None
        process.stdout.close()
    if process.returncode:
        raise _failed(browser, folder)
    return told


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the browser."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _made(out: Path, begins: bytes, browser: str) -> bytes:
    """What the browser has written."""
    made = out.read_bytes() if out.exists() else b""
    if not made.startswith(begins):
        raise _failed(browser, out.parent)
    return made


def _failed(browser: str, folder: Path) -> OutputError:
    """That the browser failed, and the last thing that it said which is about it."""
    said = (folder / "errors").read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line for line in said if line.strip() and "dbus" not in line]
    why = lines[-1].strip()[:300] if lines else "-"
    return OutputError(_("the browser {browser} failed: {why}", browser=browser, why=printable(why)))
