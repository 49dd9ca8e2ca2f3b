"""A function that gopy skips, or wraps with a known fault, stops the build."""

from __future__ import annotations

import pytest

from bindings.build.signatures import UnsupportedSignatureError, check

GO = "func Start(request string) (int64, error) {\n}\n\nfunc helper() {\n}\n"
SCRIPT = "add_checked_function(mod, 'core_Start', retval('int64_t'), [param('char*', 'request')])\n"


def test_wrapped_functions_pass() -> None:
    check(GO, SCRIPT)


def test_skipped_function() -> None:
    with pytest.raises(UnsupportedSignatureError, match="Start: gopy skipped it"):
        check(GO, "")


def test_function_without_result() -> None:
    script = "add_checked_function(mod, 'core_Start', None, [param('bool', 'goRun')])\n"
    with pytest.raises(UnsupportedSignatureError, match=r"Start: .* goRun"):
        check(GO, script)


def test_function_with_only_an_error() -> None:
    script = "add_checked_function(mod, 'core_Start', retval('char*'), [])\n"
    with pytest.raises(UnsupportedSignatureError, match="Start: gopy leaks"):
        check(GO, script)


def test_string_result_passes() -> None:
    check(GO, "add_checked_string_function(mod, 'core_Start', retval('char*'), [])\n")
