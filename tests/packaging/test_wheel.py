"""The wheel fits every CPython and every distribution that its tag promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile


@pytest.fixture
def dynamic(unpacked: Path) -> dict[str, list[str]]:
    """The names in the extension's dynamic section, by tag."""
    names: dict[str, list[str]] = {}
    with (unpacked / "sandlock" / "_core.abi3.so").open("rb") as file:
        section = ELFFile(file).get_section_by_name(".dynamic")
        assert isinstance(section, DynamicSection)
        for tag in section.iter_tags():
            value = getattr(tag, tag.entry.d_tag.removeprefix("DT_").lower(), "")
            names.setdefault(tag.entry.d_tag, []).append(value)
    return names


def test_tag_is_stable_abi(wheel: Path) -> None:
    assert re.search(r"-cp39-abi3-(many)?linux[\w.]*_(x86_64|aarch64)\.whl$", wheel.name)


def test_needs_only_libc(dynamic: dict[str, list[str]]) -> None:
    assert set(dynamic["DT_NEEDED"]) <= {"libc.so.6", "libpthread.so.0"}


def test_no_search_path(dynamic: dict[str, list[str]]) -> None:
    assert not {"DT_RPATH", "DT_RUNPATH"} & dynamic.keys()


def test_holds_only_the_package(unpacked: Path) -> None:
    files = {path.name for path in (unpacked / "sandlock").iterdir()}
    assert {"_core.abi3.so", "_version.py", "py.typed"} <= files
    assert not files & {"core.py", "go.py", "build.py"}
    assert (unpacked / "sandlock" / "profiles" / "python.toml").is_file()


def test_auditwheel_names_manylinux(wheel: Path) -> None:
    show = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    shown = subprocess.run(show, check=True, text=True, stdout=subprocess.PIPE).stdout
    assert re.search(r'platform\s+tag:\s+"manylinux_\d+_\d+_', shown), shown
