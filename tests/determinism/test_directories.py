"""deterministic_dirs: the entries of a directory come in the order of their names."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from sandlock import Result
from tests.support.handlers import Answer
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox


def run(folder: Path, *command: str | os.PathLike[str], wish: bool = True) -> Result:
    return tool_sandbox(PYTHON_PATHS, writable=[folder], cwd=folder, deterministic_dirs=wish).run(command, check=True)


def script(folder: Path, text: str, wish: bool = True) -> bytes:
    return run(folder, sys.executable, "-c", "import ctypes, os\n" + text, wish=wish).stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with entries that were made in no order."""
    names = [f"{number:05}" for number in range(1500)] + ["!", "Ä", "a b", "x" * 255]
    random.Random(3).shuffle(names)
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    return tmp_path


def test_order(folder: Path) -> None:
    expected = sorted(map(os.fsencode, os.listdir(folder)))
    assert run(folder, "ls", "-U").stdout.splitlines() == expected
    assert run(folder, "ls", "-aU").stdout.splitlines() == [b".", b"..", *expected]
    assert run(folder, "ls", "-U", wish=False).stdout.splitlines() != expected


def test_kinds_and_numbers_are_the_file_systems(folder: Path) -> None:
    text = "print(sorted((e.name, e.inode(), e.is_dir(), e.is_symlink()) for e in os.scandir('.')))"
    assert script(folder, text) == script(folder, text, wish=False)


def test_two_folders_at_once(folder: Path) -> None:
    (folder / "folder/b").touch()
    (folder / "folder/a").touch()
    text = "one, two = os.scandir('.'), os.scandir('folder'); "
    text += "print([next(d).name for d in (one, two, one, two, one)])"
    assert script(folder, text) == b"['!', 'a', '00000', 'b', '00001']\n"


def test_what_is_removed_meanwhile_moves_nothing(folder: Path) -> None:
    """As rm -r does: it removes what it has read of, and reads on."""
    text = "seen = [(e.name, os.remove(e.name)) for e in os.scandir('.') if e.name != 'folder']; print(len(seen))"
    assert script(folder, text) == b"1505\n"
    assert os.listdir(folder) == ["folder"]


def test_what_is_made_meanwhile_moves_nothing(folder: Path) -> None:
    text = "print(len([open(e.name + '.new', 'w').close() for e in os.scandir('folder')]), len(os.listdir('.')))"
    for name in range(100):
        (folder / "folder" / str(name)).touch()
    assert script(folder, text) == b"100 1606\n"


POSITIONS = """if True:
    class Entry(ctypes.Structure):
        _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("length", ctypes.c_ushort),
                    ("kind", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]
    libc = ctypes.CDLL(None)
    libc.opendir.restype = libc.telldir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.POINTER(Entry)
    folder = ctypes.c_void_p(libc.opendir(b"."))
    def read():
        entry = libc.readdir(folder)
        return entry.contents.name if entry else None
    places = []
    while True:
        place = libc.telldir(folder)
        name = read()
        places.append((place, name))
        if name is None: break
    for place, name in places[::-7]:
        libc.seekdir(folder, ctypes.c_long(place))
        assert read() == name, (place, name)
    libc.rewinddir(folder)
    print(read(), read(), read(), len(places))
"""


def test_positions(folder: Path) -> None:
    assert script(folder, POSITIONS) == b"b'.' b'..' b'!' 1509\n"


def test_a_rewound_folder_is_read_anew(folder: Path) -> None:
    text = """if True:
        fd = os.open("folder", os.O_RDONLY)
        before = os.listdir(fd)
        open("folder/new", "w").close()
        os.lseek(fd, 0, os.SEEK_SET)
        print(before, os.listdir(fd))
    """
    assert script(folder, text) == b"[] ['new']\n"


def test_another_process_reads_on(folder: Path) -> None:
    """With a descriptor that both have."""
    text = """if True:
        libc = ctypes.CDLL(None)
        fd = os.open(".", os.O_RDONLY)
        def names():
            buffer = ctypes.create_string_buffer(32768)
            length = libc.syscall(GETDENTS64, fd, buffer, ctypes.c_size_t(len(buffer)))
            found, data = [], buffer.raw[:length]
            while data:
                size = int.from_bytes(data[16:18], "little")
                found.append(data[19:size].split(b"\\0")[0])
                data = data[size:]
            return found
        first = names()
        if os.fork() == 0:
            print(len(first), names()[0] > first[-1])
        else:
            os.wait()
    """.replace("GETDENTS64", "217" if os.uname().machine == "x86_64" else "61")
    count, follows = script(folder, text).split()
    assert (int(count) > 100, follows) == (True, b"True")


ERRORS = """if True:
    import errno
    libc = ctypes.CDLL(None, use_errno=True)
    def getdents(number, fd, address, size):
        result = libc.syscall(number, fd, ctypes.c_void_p(address), ctypes.c_size_t(size))
        return result if result >= 0 else errno.errorcode[ctypes.get_errno()]
    memory = ctypes.create_string_buffer(4096)
    here = ctypes.addressof(memory)
    here_fd = os.open("folder", os.O_RDONLY)
    print([[getdents(number, *args) for args in ((999, here, 4096), (-1, here, 4096),
        (os.open("link2", os.O_RDONLY), here, 4096), (os.open(".", os.O_PATH), here, 4096), (here_fd, here, 10),
        (here_fd, 8, 4096), (here_fd, here, 4096), (here_fd, here, 4096))] for number in NUMBERS])
"""


def test_calls_fail_as_the_kernels_do(folder: Path) -> None:
    (folder / "link2").write_text("a file")
    text = ERRORS.replace("NUMBERS", "(217, 78)" if os.uname().machine == "x86_64" else "(61,)")
    result = script(folder, text).replace(b"[0, 0]", b"")
    assert result == script(folder, text, wish=False).replace(b"[0, 0]", b"")
    assert result.startswith(b"[['EBADF', 'EBADF', 'ENOTDIR', 'EBADF', 'EINVAL', 'EFAULT', 48, 0]")


def test_handlers_cannot_override_it(folder: Path) -> None:
    handler = Answer()
    box = tool_sandbox([folder], cwd=folder, deterministic_dirs=True)
    result = box.run(["ls", "-U"], handlers=[("getdents64", handler), ("getdents", handler)], check=True)
    assert result.stdout.splitlines() == sorted(map(os.fsencode, os.listdir(folder)))
    assert handler.calls == 0


def test_programs(folder: Path) -> None:
    for path in ("folder/a/b/c", "folder/a/d", "folder/e"):
        (folder / path).mkdir(parents=True)
    found = run(folder, "find", "folder").stdout.splitlines()
    assert found == [b"folder", b"folder/a", b"folder/a/b", b"folder/a/b/c", b"folder/a/d", b"folder/e"]
    run(folder, "rm", "-r", "folder")
    assert not (folder / "folder").exists()
