"""The wheels of all architectures, those that cannot run here included: what their extension is, and needs."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

ROOT = Path(__file__).resolve().parents[2]

MACHINES = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}


@pytest.fixture(params=MACHINES)
def released(request: pytest.FixtureRequest) -> tuple[Path, ELFFile]:
    """A wheel beside the one under test, and its extension."""
    folder = Path(os.environ.get("SANDLOCK_WHEEL", ROOT / "dist" / "-")).parent
    wheels = list(folder.glob(f"*manylinux*_{request.param}.whl"))
    if not wheels:
        pytest.skip(f"{folder} has no released wheel for {request.param}; make wheels builds it")
    with zipfile.ZipFile(wheels[0]) as archive:
        return wheels[0], ELFFile(io.BytesIO(archive.read("sandlock/_core.abi3.so")))


def test_machine(released: tuple[Path, ELFFile]) -> None:
    wheel, extension = released
    assert extension["e_machine"] == MACHINES[re.sub(r".*manylinux_\d+_\d+_(\w+)\.whl", r"\1", wheel.name)]


def test_glibc_is_as_old_as_the_tag_says(released: tuple[Path, ELFFile]) -> None:
    wheel, extension = released
    tag = re.search(r"manylinux_(\d+)_(\d+)_", wheel.name)
    assert tag is not None
    needed = extension.get_section_by_name(".gnu.version_r")
    assert isinstance(needed, GNUVerNeedSection)
    names = {auxiliary.name for _, auxiliaries in needed.iter_versions() for auxiliary in auxiliaries}
    versions = {tuple(map(int, name[len("GLIBC_") :].split("."))) for name in names}
    assert max(versions)[:2] <= (int(tag[1]), int(tag[2]))


def test_needs_only_libc(released: tuple[Path, ELFFile]) -> None:
    section = released[1].get_section_by_name(".dynamic")
    assert isinstance(section, DynamicSection)
    needed = {getattr(tag, "needed", "") for tag in section.iter_tags("DT_NEEDED")}
    assert needed <= {"libc.so.6", "libpthread.so.0", "ld-linux-aarch64.so.1"}


def test_is_an_extension_module(released: tuple[Path, ELFFile]) -> None:
    symbols = released[1].get_section_by_name(".dynsym")
    assert isinstance(symbols, SymbolTableSection)
    assert symbols.get_symbol_by_name("PyInit__core")
