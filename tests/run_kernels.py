"""Boot another kernel in an emulated machine, and run the tests in it: run_kernels.py KERNEL.deb... [-- PYTEST...]

The packages are those of one kernel of Debian, as `apt-get download linux-image-6.12.117+deb12-cloud-amd64` gets
them; from Linux 7 on, linux-binary-* and linux-modules-* are it. The machine sees the files of this one, and what it
writes is gone with it. Being emulated it needs no KVM, and takes four to ten times as long. Needs root, for the files'
owners, and of Debian: qemu-system-x86, virtiofsd (part of qemu-system-common before Debian 13), busybox-static, cpio.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VIRTIOFSD = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd")
MODULES = ("virtio", "virtio_ring", "virtio_pci*", "fuse", "virtiofs", "overlay")
MEMORY = "6G"
PATIENCE = 1200
"""Seconds for a test."""

INIT = """\
    #!/bin/sh
    mount -t devtmpfs dev /dev
    # Each needs some of the others.
    for round in 1 2 3; do for module in /*.ko; do insmod "$module" 2>/dev/null; done; done
    mount -t virtiofs -o ro files /files && mount -t tmpfs -o size=50% changes /changes || exit
    mkdir /changes/made /changes/work
    mount -t overlay -o lowerdir=/files,upperdir=/changes/made,workdir=/changes/work root /root || exit
    cp /start /root/start
    exec switch_root /root /start
"""

START = """\
    #!/bin/sh
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t cgroup2 cgroup /sys/fs/cgroup
    mount -t devtmpfs dev /dev
    mkdir -p /dev/pts /dev/shm
    mount -t devpts -o ptmxmode=666 devpts /dev/pts
    mount -t tmpfs shm /dev/shm
    mount -t tmpfs run /run
    mount -t tmpfs -o mode=1777 tmp /tmp
    ip link set lo up
    uname -srm
    cd {root} && {command} </dev/null
    echo "{mark} $?"
    echo o >/proc/sysrq-trigger
    exec sleep 1000
"""

MARK = "tests ended with status"


def main() -> int:
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    packages, pytest = arguments[:split], arguments[split + 1 :]
    if not packages:
        print(__doc__)
        return 2
    with tempfile.TemporaryDirectory(prefix="sandlock-kernels-") as name:
        folder = Path(name)
        for package in packages:
            subprocess.run(["dpkg-deb", "-x", package, folder / "kernel"], check=True)
        command = [f"{ROOT}/.venv/bin/pytest", "--color=no", f"--timeout={PATIENCE}", "-p", "no:cacheprovider", *pytest]
        make_initramfs(folder, shlex.join(command))
        with shared_files(folder / "files.socket"):
            return boot(folder)


def make_initramfs(folder: Path, command: str) -> None:
    """Pack what mounts the files of this machine, and then runs the command."""
    content = folder / "initramfs"
    for name in ("bin", "dev", "files", "changes", "root"):
        (content / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", content / "bin")
    for tool in ("sh", "mount", "insmod", "mkdir", "cp", "switch_root"):
        (content / "bin" / tool).symlink_to("busybox")
    for pattern in MODULES:
        for module in (folder / "kernel").rglob(f"{pattern}.ko*"):
            data = module.read_bytes()
            name = module.name.partition(".")[0]
            (content / f"{name}.ko").write_bytes(lzma.decompress(data) if module.suffix == ".xz" else data)
    start = START.format(root=shlex.quote(str(ROOT)), command=command, mark=MARK)
    for script, text in (("init", INIT), ("start", start)):
        (content / script).write_text(textwrap.dedent(text))
        (content / script).chmod(0o755)
    names = "\n".join(str(path.relative_to(content)) for path in content.rglob("*"))
    with (folder / "initramfs.cpio").open("wb") as archive:
        pack = ["cpio", "--quiet", "--create", "--format=newc"]
        subprocess.run(pack, input=names.encode(), stdout=archive, cwd=content, check=True)


@contextlib.contextmanager
def shared_files(socket: Path) -> Iterator[None]:
    """Have a server hand out the files of this machine on a socket."""
    program = next(path for path in VIRTIOFSD if os.path.exists(path))
    server = subprocess.Popen([program, f"--socket-path={socket}", "-o", "source=/,cache=always,sandbox=chroot"])
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def boot(folder: Path) -> int:
    """Run the machine to its end, print what it does, and return the status of the tests."""
    (image,) = (folder / "kernel").rglob("vmlinuz*")
    cpus = str(len(os.sched_getaffinity(0)))
    qemu: Sequence[str | Path] = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", cpus, "-m", MEMORY),
        *("-object", f"memory-backend-memfd,id=memory,size={MEMORY},share=on", "-numa", "node,memdev=memory"),
        *("-chardev", f"socket,id=files,path={folder}/files.socket"),
        *("-device", "vhost-user-fs-pci,chardev=files,tag=files"),
        *("-kernel", image, "-initrd", folder / "initramfs.cpio", "-append", "console=ttyS0 quiet panic=-1"),
        *("-nographic", "-no-reboot", "-nic", "none"),
    ]
    status = 1
    with subprocess.Popen(
        qemu, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as machine:
        assert machine.stdout is not None
        for line in machine.stdout:
            print(line.rstrip(), flush=True)
            if line.startswith(MARK):
                status = int(line.split()[-1])
    return status


if __name__ == "__main__":
    sys.exit(main())
