"""What is performed for the child reaches nothing that the child could not."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction, Sandbox
from tests.support.acts import AT_FDCWD, Act, Back, Buffer, Call, act, performing
from tests.support.handlers import Do
from tests.support.processes import run_host
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


def performed(box: Sandbox, acts: Path, *calls: Call) -> list[Act]:
    return act(box, acts, calls, handlers=performing())


def errors(done: list[Act]) -> list[str]:
    return [act.error for act in done]


RDONLY, WRONLY, CREAT, TRUNC = os.O_RDONLY, os.O_WRONLY, os.O_CREAT, os.O_TRUNC


def test_folders_that_are_not_granted(acts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret")
    (tmp_path / "folder").mkdir()
    box = tool_sandbox([acts])
    calls: list[Call] = [
        ("openat", AT_FDCWD, f"{tmp_path}/file", RDONLY),
        ("openat", AT_FDCWD, f"{tmp_path}/file", WRONLY | TRUNC),
        ("openat", AT_FDCWD, str(tmp_path), RDONLY | os.O_DIRECTORY),
        ("openat", AT_FDCWD, f"{tmp_path}/new", WRONLY | CREAT, 0o600),
        ("openat", AT_FDCWD, str(tmp_path), WRONLY | os.O_TMPFILE, 0o600),
        ("mkdirat", AT_FDCWD, f"{tmp_path}/new", 0o700),
        ("mknodat", AT_FDCWD, f"{tmp_path}/new", 0o010600, 0),
        ("symlinkat", "text", AT_FDCWD, f"{tmp_path}/new"),
        ("unlinkat", AT_FDCWD, f"{tmp_path}/file", 0),
        ("unlinkat", AT_FDCWD, f"{tmp_path}/folder", 0x200),
        ("renameat2", AT_FDCWD, f"{tmp_path}/file", AT_FDCWD, f"{tmp_path}/new", 0),
        ("truncate", f"{tmp_path}/file", 0),
    ]
    assert set(errors(performed(box, acts, *calls))) == {"EACCES"}
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "programs") == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "secret"


def test_folders_that_may_only_be_read(acts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("readable")
    (tmp_path / "mine").mkdir()
    box = tool_sandbox([acts, tmp_path / "file", tmp_path], [tmp_path / "mine"], cwd=tmp_path)
    calls: list[Call] = [
        ("openat", AT_FDCWD, "file", RDONLY),
        ("openat", AT_FDCWD, "mine/new", WRONLY | CREAT, 0o600),
        ("openat", AT_FDCWD, "file", WRONLY),
        ("openat", AT_FDCWD, "file", RDONLY | TRUNC),
        ("openat", AT_FDCWD, "mine/../file", os.O_RDWR),
        ("openat", AT_FDCWD, "new", WRONLY | CREAT, 0o600),
        ("truncate", "file", 0),
        ("unlinkat", AT_FDCWD, "file", 0),
        ("mkdirat", AT_FDCWD, "new", 0o700),
        ("renameat2", AT_FDCWD, "file", AT_FDCWD, "mine/file", 0),
        ("renameat2", AT_FDCWD, "mine/new", AT_FDCWD, "new", 0),
        ("linkat", AT_FDCWD, "mine/new", AT_FDCWD, "new", 0),
    ]
    assert errors(performed(box, acts, *calls)) == ["", ""] + ["EACCES"] * 10
    assert (tmp_path / "file").read_text() == "readable"


def test_links_lead_no_further(acts: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "mine").mkdir()
    box = tool_sandbox([acts], [tmp_path / "mine"], cwd=tmp_path / "mine")
    calls: list[Call] = [
        ("symlinkat", "../secret", AT_FDCWD, "link"),
        ("symlinkat", str(tmp_path), AT_FDCWD, "folder"),
        ("openat", AT_FDCWD, "link", RDONLY),
        ("openat", AT_FDCWD, "folder/secret", RDONLY),
        ("openat", AT_FDCWD, "folder/made", WRONLY | CREAT, 0o600),
        ("linkat", AT_FDCWD, "../secret", AT_FDCWD, "linked", 0),
        ("renameat2", AT_FDCWD, "../secret", AT_FDCWD, "moved", 0),
    ]
    done = errors(performed(box, acts, *calls))
    assert done[:5] == ["", "", "EACCES", "EACCES", "EACCES"]
    assert set(done[5:]) <= {"EACCES", "EXDEV"}
    assert sorted(os.listdir(tmp_path / "mine")) == ["folder", "link"]


def test_a_path_of_the_handlers_own(acts: Path, tmp_path: Path) -> None:
    """The host may read the file; the handler's choice of it does not let the child."""
    (tmp_path / "secret").write_text("secret")
    redirect = Do(lambda ctx: ctx.perform(str(tmp_path / "secret")))
    done = act(
        tool_sandbox([acts]), acts, [("openat2", AT_FDCWD, "/x", bytes(24), 24)], handlers=[("openat2", redirect)]
    )
    assert errors(done) == ["EACCES"]


PROC = ("environ", "status", "cmdline", "maps", "stat", "comm", "limits", "mountinfo", "io", "mem", "auxv")


def read_proc(box: Sandbox, acts: Path, folder: str) -> dict[str, bytes]:
    """Return what the child reads in a folder of /proc, with the number of the child as "pid"."""
    calls: list[Call] = [("getpid",)]
    for name in PROC:
        calls += [("openat", AT_FDCWD, f"{folder}/{name}", RDONLY), ("read", Back(1), Buffer(4096), 4096)]
    done = performed(box, acts, *calls)
    found = {name: read.data.rstrip(b"\0") for name, read in zip(PROC, done[2::2])}
    return {"pid": b"%d" % done[0].result, **found}


@pytest.fixture
def proc_box(acts: Path) -> Sandbox:
    return tool_sandbox([acts, "/proc"], env={"WHOSE": "the child's"}, clean_env=True)


HOSTS_FOLDERS = ["/proc/self", "/proc/thread-self", "/proc/{host}", "/proc/{thread}", "/proc/{host}/task/{thread}"]


@pytest.mark.parametrize("folder", HOSTS_FOLDERS)
def test_files_of_the_host_are_the_childs(acts: Path, proc_box: Sandbox, folder: str) -> None:
    """The host's are never seen, under whatever name: those of its threads have folders in /proc as well."""
    thread = threading.get_native_id()
    released, started = threading.Event(), threading.Event()
    other: list[int] = []

    def live() -> None:
        other.append(threading.get_native_id())
        started.set()
        released.wait()

    living = threading.Thread(target=live)
    living.start()
    started.wait()
    try:
        for number in (thread, other[0]):
            found = read_proc(proc_box, acts, folder.format(host=os.getpid(), thread=number))
            assert b"WHOSE=the child's" in found["environ"].split(b"\0")
            assert b"\nPid:\t%s\n" % found["pid"] in found["status"]
            assert found["stat"].startswith(found["pid"] + b" (acts)")
            assert found["cmdline"].startswith(os.fsencode(acts))
            assert found["comm"] == b"acts\n"
            assert os.fsencode(acts) in found["maps"]
            assert b"Max open files" in found["limits"]
    finally:
        released.set()
        living.join()


def test_links_of_the_host_are_the_childs(acts: Path, proc_box: Sandbox) -> None:
    links = ["self", "thread-self", "self/exe", "self/cwd", "self/root", "self/fd/0", "thread-self/fd/1", "self/fd/99"]
    calls: list[Call] = [("getpid",), *(("readlinkat", AT_FDCWD, f"/proc/{link}", Buffer(256), 256) for link in links)]
    done = performed(proc_box, acts, *calls)
    pid = b"%d" % done[0].result
    targets = [act.data.rstrip(b"\0") for act in done[1:]]
    assert targets[:5] == [pid, pid + b"/task/" + pid, os.fsencode(acts), os.fsencode(os.getcwd()), b"/"]
    assert targets[5].startswith((b"/dev/null", b"pipe:"))
    assert targets[6].startswith(b"pipe:")
    assert errors(done)[-1] == "ENOENT"


def test_another_thread_of_the_child(program: Program, proc_box: Sandbox) -> None:
    """/proc/self is the process, also for a thread."""
    opened: list[tuple[int, str, str]] = []

    def note(ctx: HandlerCtx) -> NotifAction:
        own, thread = (ctx.resolve_path(3, path).path for path in ("/proc/self/status", "/proc/thread-self/status"))
        opened.append((ctx.pid, own, thread))
        return NotifAction.continue_()

    proc_box.fs_readable = [*proc_box.fs_readable, program("crowd")]
    proc_box.run([program("crowd"), "2", "39"], handlers=[("getpid", Do(note))], check=True)
    assert len(opened) == 2
    for task, own, thread in opened:
        process = own.split("/")[2]
        assert int(process) != task
        assert thread == f"/proc/{process}/task/{task}/status"


def test_other_processes(acts: Path, proc_box: Sandbox) -> None:
    """Those of the host are out of reach, and so are the magic links that would lead into them."""
    for number in (1, os.getppid()):
        names = ("mem", "exe", "cwd", "root/etc/hostname", "fd/0", "ns/mnt")
        calls: list[Call] = [("openat", AT_FDCWD, f"/proc/{number}/{name}", RDONLY) for name in names]
        assert set(errors(performed(proc_box, acts, *calls))) <= {"EACCES", "ELOOP", "EPERM"}


def test_magic_links_on_the_way(acts: Path, proc_box: Sandbox, tmp_path: Path) -> None:
    os.symlink("/proc/self/cwd/acts", tmp_path / "link")
    proc_box.fs_readable = [*proc_box.fs_readable, tmp_path]
    targets = (
        "/proc/self/cwd/x",
        "/proc/self/root/etc/hostname",
        "/proc/self/fd/0/x",
        "/proc/self/ns/mnt",
        f"{tmp_path}/link",
    )
    calls: list[Call] = [("openat", AT_FDCWD, target, RDONLY) for target in targets]
    calls.append(("mkdirat", AT_FDCWD, "/proc/self/cwd/new", 0o700))
    assert set(errors(performed(proc_box, acts, *calls))) == {"ELOOP"}


def test_proc_that_is_not_granted(acts: Path) -> None:
    names = (
        "/proc/self/status",
        "/proc/thread-self/stat",
        "/proc/self/fd",
        f"/proc/{os.getpid()}/environ",
        "/proc/stat",
    )
    calls: list[Call] = [("openat", AT_FDCWD, name, RDONLY) for name in names]
    assert set(errors(performed(tool_sandbox([acts]), acts, *calls))) == {"EACCES"}


def test_own_files_are_writable_when_granted(acts: Path) -> None:
    calls: list[Call] = [
        ("openat", AT_FDCWD, "/proc/self/comm", WRONLY | TRUNC | CREAT),
        ("write", Back(1), "renamed", 7),
        ("openat", AT_FDCWD, "/proc/self/comm", RDONLY),
        ("read", Back(1), Buffer(16), 16),
        ("mkdirat", AT_FDCWD, "/proc/self/new", 0o700),
        ("unlinkat", AT_FDCWD, "/proc/self/comm", 0),
    ]
    done = performed(tool_sandbox([acts], ["/proc"]), acts, *calls)
    assert done[3].data.rstrip(b"\0") == b"renamed\n"
    assert errors(done)[4:] == ["EPERM", "EPERM"]
    assert errors(performed(tool_sandbox([acts, "/proc"]), acts, calls[0])) == ["EACCES"]


TERMINAL_HOST = """
    import fcntl, os, sys, termios
    from pathlib import Path
    from tests.support.acts import AT_FDCWD, act, performing
    from tests.support.sandboxes import tool_sandbox

    host, child = os.openpty()
    os.setsid()
    fcntl.ioctl(child, termios.TIOCSCTTY, 0)
    os.close(os.open("/dev/tty", os.O_RDWR))  # the host has a terminal
    acts = Path(sys.argv[1])
    name = os.ttyname(child)
    calls = [
        ("openat", AT_FDCWD, "/dev/tty", os.O_RDWR),
        ("openat", AT_FDCWD, "/dev/tty", os.O_RDONLY | os.O_CREAT),
        ("newfstatat", AT_FDCWD, "/dev/tty", bytes(144), 0),
    ]
    print([act.error for act in act(tool_sandbox([acts], ["/dev"]), acts, calls, handlers=performing())])
"""


def test_the_terminal_of_the_host(acts: Path) -> None:
    host = run_host(TERMINAL_HOST, acts, start_new_session=False)
    assert (host.stdout, host.stderr) == ("['ENXIO', 'ENXIO', '']\n", "")


STRANGER_HOST = """
    import os, sys
    from pathlib import Path
    from tests.support.acts import AT_FDCWD, act, performing
    from tests.support.sandboxes import tool_sandbox

    os.setsid()
    host, child = os.openpty()
    acts = Path(sys.argv[1])
    calls = [("openat", AT_FDCWD, os.ttyname(child), os.O_RDWR)]
    print([act.error for act in act(tool_sandbox([acts], ["/dev"]), acts, calls, handlers=performing())])
    try:
        os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        print(error.errno)
"""


def test_a_terminal_does_not_become_the_hosts(acts: Path) -> None:
    host = run_host(STRANGER_HOST, acts)
    assert (host.stdout.split("\n")[:2], host.stderr) == (["['']", str(errno.ENXIO)], "")
