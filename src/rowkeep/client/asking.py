"""Reads from the server, repeated until there is a definite answer."""

import threading

from rowkeep.client.connection import Answer, Connection, NoAnswer
from rowkeep.client.patience import Notice, Patience, RetryPolicy
from rowkeep.client.retrying import NOT_FOUND, REPEATED, Vigil, problem_of, refusal_of

OK = 200


class Asker:
    """Reads over one connection."""

    def __init__(
        self, connection: Connection, policy: RetryPolicy, is_stopping: threading.Event, notice: Notice
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._is_stopping = is_stopping
        self._notice = notice

    def read(self, path: str) -> bytes:
        """Returns the body at a path. Raises an InsertError."""
        answer = self._answer(path)
        if answer.status != OK:
            raise refusal_of(answer)
        return answer.body

    def find(self, path: str) -> bytes | None:
        """Returns the body at a path, or None for 404."""
        answer = self._answer(path)
        if answer.status == NOT_FOUND:
            return None
        if answer.status != OK:
            raise refusal_of(answer)
        return answer.body

    def _answer(self, path: str) -> Answer:
        patience = Patience(self._policy, self._is_stopping, self._notice)
        vigil = Vigil(self._policy, self._is_stopping, self._notice)
        while True:
            try:
                answer = self._connection.ask("GET", path)
            except NoAnswer as error:
                patience.wait(str(error))
                continue
            if vigil.waits_after(answer):
                patience = Patience(self._policy, self._is_stopping, self._notice)
                continue
            if answer.status not in REPEATED:
                patience.end()
                return answer
            patience.wait(problem_of(answer), is_busy=True)
