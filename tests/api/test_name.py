"""Names of sandboxes."""

from __future__ import annotations

import os
import re

import pytest

from sandlock import Sandbox


def test_default_names_differ() -> None:
    names = {Sandbox().name for _ in range(10)}
    assert len(names) == 10
    for name in names:
        assert re.fullmatch(rf"sandbox-{os.getpid()}-\d+", str(name))


@pytest.mark.parametrize("name", ["x", "...", "a b", "-", "ä" * 32, "x" * 64, "\udcff"])
def test_fine_names(name: str) -> None:
    assert Sandbox(name=name).name == name


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/b", "a\0b", "x" * 65, "ä" * 33])
def test_wrong_names(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Sandbox(name=name)
    with pytest.raises(ValueError, match="name"):
        Sandbox().run_with_handlers(["true"], [], name=name)


def test_a_wrong_name_that_is_set_later() -> None:
    box = Sandbox()
    box.name = "a/b"
    with pytest.raises(ValueError, match="name 'a/b'"):
        box.run(["true"])


@pytest.mark.parametrize("name", [3, b"x", ["x"], True])
def test_wrong_types(name: object) -> None:
    with pytest.raises(TypeError, match="name"):
        Sandbox(name=name)  # type: ignore[arg-type]
