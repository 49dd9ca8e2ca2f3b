"""The edits of the generated text are made, or stop the build."""

from __future__ import annotations

import pytest

from bindings.build.edits import C_EDITS, GO_EDITS, Edit, UnexpectedTextError, apply_all

GO = """\
#cgo CFLAGS: "-I/include/python3" -Wno-error
#cgo LDFLAGS: -Wl,-rpath,/lib

#include <Python.h>
static inline int gopy_method_check(PyObject* obj) { // macro
\treturn PyMethod_Check(obj);
}
static inline void gopy_err_handle() {
}
func complex64GoToPy(c complex64) *C.PyObject {
\treturn C.PyComplex_FromDoubles(C.double(real(c)), C.double(imag(c)))
}

func complex128PyToGo(o *C.PyObject) complex128 {
\tv := C.PyComplex_AsCComplex(o)
\treturn complex(float64(v.real), float64(v.imag))
}

func Slice_byte_to_bytes(handle CGoHandle) *C.PyObject {
\tptr := unsafe.Pointer(&s[0])
}
"""

GO_EDITED = """\
#cgo CFLAGS: -std=gnu17 -DPy_LIMITED_API=0x03090000

#include <Python.h>
static inline void gopy_err_handle() {
}

func Slice_byte_to_bytes(handle CGoHandle) *C.PyObject {
\tptr := unsafe.Pointer(unsafe.SliceData(s))
}
"""

C = """\
typedef PyAsyncMethods* cmpfunc;
#include "core_go.h"
"""

C_EDITED = """\
typedef void* cmpfunc;
#include "_cgo_export.h"
"""


def test_go_edits() -> None:
    assert apply_all(GO_EDITS, GO, "core.go") == GO_EDITED


def test_c_edits() -> None:
    assert apply_all(C_EDITS, C, "core.c") == C_EDITED


@pytest.mark.parametrize("edit", [*GO_EDITS, *C_EDITS], ids=lambda edit: edit.why)
@pytest.mark.parametrize(("copies", "found"), [(0, "0 times"), (2, "2 times")])
def test_changed_text_is_an_error(edit: Edit, copies: int, found: str) -> None:
    text = (GO if edit in GO_EDITS else C) * copies
    with pytest.raises(UnexpectedTextError, match=found) as caught:
        edit.apply(text, "core.go")
    assert edit.why in str(caught.value)
