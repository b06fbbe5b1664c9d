"""How many requests were answered, by status. One integer in a dict: the hot path pays some 50 ns for it."""

from collections import Counter

from rowkeep.api.http.asgi import Message, Send


class Traffic:
    """Counts answers since the start of the process. Used on the event loop."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()

    def counted(self, send: Send) -> Send:
        """Returns a `send` that counts the response which goes through it."""

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answers[message["status"]] += 1
            await send(message)

        return send_and_count
