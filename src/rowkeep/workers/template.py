"""The template: a process with all modules of jobs imported, which forks a worker for each job.

A fork shares the template's memory and is there at once (pool.py has the figures). The template has no
secrets: it starts from a clean environment, without any file of the server's, and never reads what a caller
sent. It has one thread of its own, for a fork copies no others.

Started by `pool.py` with one end of a socket pair as its standard input; it ends when the server does, and
its workers with it.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys
from contextlib import suppress

import msgspec

from rowkeep.workers.jail import code_places, missing_walls
from rowkeep.workers.messages import Ended, Fork, FromTemplate, Ready, Started, ToTemplate
from rowkeep.workers.worker import run_worker

_DATAGRAM_BYTES_MAX = 4096


class Template:
    """Forks workers as the server asks, and tells it how they end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._messages = msgspec.json.Decoder(ToTemplate)
        self._process_ids: dict[int, int] = {}

    def run(self) -> None:
        """Serves until the server is gone."""
        ended, signalled = socket.socketpair()
        for end in (ended, signalled):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(signalled.fileno(), warn_on_full_buffer=False)
        self._say(Ready(tuple(missing_walls())))
        while True:
            found, _, _ = select.select((self._control, ended), (), ())
            if ended in found:
                ended.recv(_DATAGRAM_BYTES_MAX)
                self._reap()
            if self._control in found and not self._obey():
                return

    def _obey(self) -> bool:
        """Does what the next datagram asks. Returns False when the server is gone."""
        datagram, descriptors, _, _ = socket.recv_fds(self._control, _DATAGRAM_BYTES_MAX, 2)
        if not datagram:
            return False
        message = self._messages.decode(datagram)
        if isinstance(message, Fork):
            self._fork(message, *descriptors)
        else:
            self._kill(message.number)
        return True

    def _fork(self, message: Fork, channel: int, errors: int) -> None:
        parent = os.getpid()
        process_id = os.fork()
        if not process_id:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            run_worker(channel, errors, parent, message.preparation)
        os.close(channel)
        os.close(errors)
        self._process_ids[message.number] = process_id
        self._say(Started(message.number, process_id))

    def _kill(self, number: int) -> None:
        process_id = self._process_ids.get(number)
        if process_id is None:
            return  # it has been reaped, and its process id may be another's
        with suppress(ProcessLookupError):
            os.killpg(process_id, signal.SIGKILL)  # it may not have its own group yet
        os.kill(process_id, signal.SIGKILL)

    def _reap(self) -> None:
        for number, process_id in list(self._process_ids.items()):
            found, status = os.waitpid(process_id, os.WNOHANG)
            if found:
                del self._process_ids[number]
                self._say(Ended(number, status))

    def _say(self, message: FromTemplate) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the server is gone, and this process is next
            self._control.send(msgspec.json.encode(message))


def main() -> None:
    """Imports the named modules, and forks workers until the server is gone.

    If a module has a function `warm_up`, it is called once, so that workers need not do that work.
    """
    for name in sys.argv[1:]:
        module = importlib.import_module(name)
        if hasattr(module, "warm_up"):
            module.warm_up()
    code_places()
    gc.collect()
    gc.freeze()  # or each worker's first collection would copy the memory that they share
    Template(socket.socket(fileno=sys.stdin.fileno())).run()


if __name__ == "__main__":
    main()
