"""What several rooms of tests share."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import roofalloc as ra
from commands import Call, Outcome
from roofalloc.cli import run
from roofalloc.problem import Problem, compile_problem

os.environ.pop("LC_ALL", None)
os.environ["LC_MESSAGES"] = "C"  # the command speaks English to the tests, wherever they run


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Run a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROOFALLOC_DEBUG", raising=False)

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def hard() -> Problem:
    """Takes minutes to prove."""
    return compile_problem(ra.generate("town", single_source=True))


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Every process started, and the folder of every file that is not meant to stay."""
    started: list[subprocess.Popen[str]] = []
    popen = subprocess.Popen

    def remember(*args: Any, **kwargs: Any) -> subprocess.Popen[str]:
        started.append(popen(*args, **kwargs))
        return started[-1]

    def nothing_is_left() -> None:
        assert started
        assert all(process.poll() is not None for process in started)
        assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(subprocess, "Popen", remember)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return SimpleNamespace(processes=started, folder=tmp_path, assert_nothing_is_left=nothing_is_left)
