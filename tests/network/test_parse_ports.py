"""parse_ports reads what the fields about ports do."""

from __future__ import annotations

import re
from typing import Any

import pytest

import sandlock
from sandlock import PolicyError


@pytest.mark.parametrize(
    ("ports", "numbers"),
    [
        ([], []),
        ([80], [80]),
        (["80"], [80]),
        ([443, "80", 80], [80, 443]),
        (["8000-8003"], [8000, 8001, 8002, 8003]),
        (["90-91,80", 91], [80, 90, 91]),
        ([0, 65535], [0, 65535]),
        (["*"], list(range(65536))),
        ((port for port in (1, 2)), [1, 2]),
    ],
)
def test_ports(ports: Any, numbers: list[int]) -> None:
    assert sandlock.parse_ports(ports) == numbers


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        (["http"], 'ports: "http"'),
        ([65536], '"65536" has the port "65536", which is above 65535'),
        ([-1], '"-1"'),
        (["90-80"], 'write "80-90"'),
        (["*", 80], 'write ["*"] alone'),
        ([True], "True is no port"),
        ([1.5], "1.5 is no port"),
        ("80", "write ['80']"),
        (80, "write [80]"),
        (["é"], "ports"),
    ],
)
def test_no_ports(ports: Any, words: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(words)):
        sandlock.parse_ports(ports)
    with pytest.raises(ValueError, match=re.escape(words)):
        sandlock.parse_ports(ports)
