"""The child's end of a ChildProcess:

jobs are lines on its standard input, answers are lines on its output.
"""

import gc
import sys
from collections.abc import Callable

import msgspec


def answer_jobs(answer: Callable[[bytes], msgspec.Struct]) -> None:
    """Answers jobs until stdin ends, or nobody reads the answers."""
    gc.disable()  # jobs make millions of objects and no cycles
    answers = sys.stdout.buffer
    for line in sys.stdin.buffer:
        try:
            answers.write(msgspec.json.encode(answer(line)) + b"\n")
            answers.flush()
        except BrokenPipeError:
            # The server was killed. Python would complain once more at the end.
            sys.stdout = None
            return
        gc.collect()
        gc.freeze()  # modules that a job had imported need not be looked at after each: that takes 20 ms
