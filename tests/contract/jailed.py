"""Job functions for the tests of the jail: each tries what a hostile file or query could have a worker do."""

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rowkeep.model.errors import invalid_request
from rowkeep.workers.worker import Work

MEBIBYTE = 1024 * 1024


def double(work: Work) -> int:
    """Twice a number, with a file in its folder and some progress."""
    number = work.arguments(int)
    work.report(0.5)
    (work.folder / "made" / "here").mkdir(parents=True)
    made = work.folder / "made" / "here" / "number"
    made.write_text(str(number))
    made.rename(work.folder / "number")
    return 2 * number


prepared: list[int] = []


def prepare() -> None:
    """Notes in which process it was called."""
    prepared.append(os.getpid())


def start_thread() -> None:
    """Leaves a thread behind, which no preparation may."""
    threading.Thread(target=wait, args=(None,), daemon=True).start()


def tell_prepared(_: Work) -> tuple[int, list[int]]:
    """Which process this is, and in which ones it was prepared."""
    return os.getpid(), prepared


def read(work: Work) -> str:
    """The text of a file."""
    return Path(work.arguments(str)).read_text(encoding="utf-8")


def refuse(work: Work) -> None:
    """Says what is wrong with its input."""
    raise invalid_request(work.arguments(str))


def attempt(work: Work) -> str:
    """What comes of one thing that is not allowed."""
    try:
        found = ATTEMPTS[work.arguments(str)](work.folder)
    except (OSError, ValueError) as error:
        return type(error).__name__
    return f"it worked: {found!r}"


def use_threads(work: Work) -> int:
    """Threads are allowed."""
    found: list[int] = []
    threads = [threading.Thread(target=found.append, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(found)


def environment(_: Work) -> dict[str, str]:
    """What there is in the environment."""
    return dict(os.environ)


def descriptors(_: Work) -> list[int]:
    """The file descriptors that are open."""
    found = []
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def wait(_: Work) -> None:
    """Sleeps for ever."""
    while True:
        time.sleep(60)


def compute(_: Work) -> None:
    """Computes for ever, and lets no signal handler run."""
    sum(iter(lambda: 1, 0))


def ignore_signals(_: Work) -> None:
    """Sleeps for ever and ignores every signal that can be."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    wait(_)


def eat_memory(_: Work) -> None:
    """Takes memory bit by bit."""
    held = []
    while True:
        held.append(bytearray(os.urandom(1) * 4 * MEBIBYTE))
        time.sleep(0.001)


def eat_at_once(_: Work) -> int:
    """Takes more memory at once than one could watch."""
    return len(bytearray(64 * 1024 * MEBIBYTE))


def fill_folder(work: Work) -> None:
    """Writes one large file after the other."""
    for number in range(10_000):
        (work.folder / str(number)).write_bytes(bytes(MEBIBYTE))
        time.sleep(0.001)


def fill_file(work: Work) -> None:
    """Writes one file that is too large, at once."""
    with (work.folder / "large").open("wb") as file:
        while True:
            file.write(bytes(MEBIBYTE))


def make_files(work: Work) -> None:
    """Makes small files without end."""
    for number in range(1_000_000):
        (work.folder / str(number)).touch()
        time.sleep(0.0001)


def crash(work: Work) -> None:
    """Ends the process in one way or another."""
    CRASHES[work.arguments(str)]()


def chatter(work: Work) -> None:
    """Says more than one may: one long line, or many short ones, or no message at all."""
    said = {
        "long": b"x" * MEBIBYTE,
        "many": b'{"type":"Progress","fraction":0.1}\n' * 100_000,
        "none": b"?\n",
    }
    rest = said[work.arguments(str)]
    while rest:
        rest = rest[os.write(3, rest) :]
    wait(work)


def tell_process_id(work: Work) -> None:
    """Writes down which process it is, and sleeps for ever."""
    (work.folder / "pid").write_text(str(os.getpid()))
    wait(work)


def _raise_limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _forget_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(1, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "refused")


def _connect() -> None:
    socket.create_connection(("127.0.0.1", 9))


def _clone3() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_uint64 * 11)()
    found = int(libc.syscall(435, ctypes.byref(arguments), ctypes.sizeof(arguments)))
    if found < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return found


ATTEMPTS: dict[str, Callable[[Path], object]] = {
    "read /etc/passwd": lambda _: Path("/etc/passwd").read_bytes(),
    "list /": lambda _: list(Path("/").iterdir()),
    "list the folder above": lambda folder: list(folder.parent.iterdir()),
    "read beside the folder": lambda folder: (folder.parent / "secret").read_bytes(),
    "read by a link": lambda folder: _by_link(folder),
    "write beside the folder": lambda folder: (folder.parent / "new").write_bytes(b""),
    "write an input": lambda folder: os.open(folder.parent / "input", os.O_RDWR),
    "cut an input": lambda folder: os.truncate(folder.parent / "input", 0),
    "remove an input": lambda folder: (folder.parent / "input").unlink(),
    "move out of the folder": lambda folder: _move_out(folder),
    "change a mode": lambda folder: (folder.parent / "input").chmod(0o777),
    "write to a module": lambda _: os.open(__file__, os.O_RDWR),
    "look into the parent": lambda _: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "look into itself": lambda _: Path("/proc/self/environ").read_bytes(),
    "connect": lambda _: _connect(),
    "a socket": lambda _: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "a socket on the machine": lambda _: socket.socketpair(),
    "fork": lambda _: os.fork(),
    "clone3": lambda _: _clone3(),
    "posix_spawn": lambda _: os.posix_spawn("/bin/true", ["true"], {}),
    "a command": lambda _: subprocess.run(["/bin/true"], check=False),
    "exec": lambda _: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "kill the parent": lambda _: os.kill(os.getppid(), 0),
    "kill its group": lambda _: os.killpg(0, 0),
    "leave its session": lambda _: os.setsid(),
    "outlive its parent": lambda _: _forget_parent(),
    "raise a limit": lambda _: _raise_limit(),
    "raise its priority": lambda _: os.nice(-5),
    "become another user": lambda _: os.setuid(1),
    "mount": lambda folder: _mount(folder),
}


def _by_link(folder: Path) -> bytes:
    (folder / "link").symlink_to("/etc/passwd")
    return (folder / "link").read_bytes()


def _move_out(folder: Path) -> None:
    (folder / "made").write_bytes(b"")
    (folder / "made").rename(folder.parent / "made")


def _mount(folder: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", str(folder).encode(), b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), "refused")


def _divide() -> None:
    raise ZeroDivisionError("by what was in the file")


CRASHES: dict[str, Callable[[], object]] = {
    "exception": _divide,
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(0),
    "exit with a code": lambda: os._exit(7),
}
