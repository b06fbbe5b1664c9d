"""`rowkeep insert`, as people and scripts use it."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowkeep.commands.insert import (
    EXIT_INTERRUPTED,
    EXIT_OTHER,
    EXIT_REQUEST_REFUSED,
    EXIT_ROWS_LEFT_OUT,
    EXIT_ROWS_REFUSED,
    EXIT_UNREACHABLE,
)
from tests.e2e.insert_command import SCHEMA, InsertCommand, insert_command
from tests.server_process import ServerProcess, wait_until

ONE_ROW = {"ndjson": '{"count": 1}\n', "csv": "count\n1\n"}


@pytest.fixture
def command(server: ServerProcess) -> Iterator[InsertCommand]:
    """The command with a typed stream of its own."""
    with insert_command(server, SCHEMA) as made:
        yield made


def counts(numbers: range) -> str:
    """Lines with a count each."""
    return "".join(f'{{"count": {number}}}\n' for number in numbers)


def test_file_goes_in_once(command: InsertCommand, tmp_path: Path) -> None:
    """All lines are rows, in order; a second run has nothing to do."""
    file = tmp_path / "rows.ndjson"
    file.write_text(counts(range(5_000)))
    done = command.run(str(file), "--batch-bytes", "10000")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("5,000 rows inserted, 0 refused, in ")
    assert command.rows("count") == list(range(5_000))
    again = command.run(str(file), "--batch-bytes", "10000")
    assert (again.returncode, again.stdout.split(" rows")[0]) == (0, "0")
    assert command.stream.row_count() == 5_000


def test_a_lost_state_doubles_nothing(command: InsertCommand, tmp_path: Path) -> None:
    """Without its state a file is sent again under the same keys, and none of it goes in again."""
    file = tmp_path / "rows.ndjson"
    file.write_text(counts(range(1_000)))
    command.run(str(file), "--batch-bytes", "3000")
    Path(f"{file}.rowkeep-state").unlink()
    again = command.run(str(file), "--batch-bytes", "3000")
    assert "1,000 rows inserted (1,000 of them were in already)" in again.stdout
    assert command.stream.row_count() == 1_000


def test_appended_lines_follow(command: InsertCommand, tmp_path: Path) -> None:
    """A run goes on where the last one stopped, though its last batch ended with the file."""
    file = tmp_path / "rows.ndjson"
    for number in range(3):
        with file.open("a") as appended:
            appended.write(counts(range(number * 10, number * 10 + 10)))
        assert command.run(str(file)).stdout.startswith("10 rows")
    assert command.rows("count") == list(range(30))


def test_again_inserts_again(command: InsertCommand, tmp_path: Path) -> None:
    """--again puts a file in a second time, and once only however often that run is repeated."""
    file = tmp_path / "rows.ndjson"
    file.write_text(counts(range(3)))
    command.run(str(file))
    assert command.run(str(file), "--again").stdout.startswith("3 rows")
    assert command.run(str(file)).stdout.startswith("0 rows")
    assert command.rows("count") == [0, 1, 2] * 2


@pytest.mark.parametrize("in_flight", ["1", "4"])
def test_refused_line_is_named_and_can_be_corrected(
    command: InsertCommand, tmp_path: Path, in_flight: str
) -> None:
    """A line that does not fit stops the run and is named by its number; corrected, the run goes on."""
    file = tmp_path / "rows.ndjson"
    lines = counts(range(100)).splitlines()
    lines[90] = '{"count": "ninety"}'
    file.write_text("\n".join(lines))
    refused = command.run(str(file), "--batch-bytes", "150", "--in-flight", in_flight)
    assert refused.returncode == EXIT_ROWS_REFUSED
    assert f'{file}, line 91: variable "count" takes an integer' in refused.stderr
    lines[90] = '{"count": 90}' + " " * len('"ninety"')
    lines[90] = lines[90][: len('{"count": "ninety"}')]  # as long, so that nothing behind it moves
    file.write_text("\n".join(lines))
    assert command.run(str(file), "--batch-bytes", "150", "--in-flight", in_flight).returncode == 0
    assert sorted(map(str, command.rows("count"))) == sorted(map(str, range(100)))


def test_a_corrected_line_may_have_another_length(command: InsertCommand, tmp_path: Path) -> None:
    """With one request in flight nothing behind a refused line has been sent: the rest may move."""
    file = tmp_path / "rows.ndjson"
    file.write_text(counts(range(50)) + '{"count": "x"}\n' + counts(range(51, 100)))
    assert command.run(str(file), "--batch-bytes", "150").returncode == EXIT_ROWS_REFUSED
    file.write_text(counts(range(100)))
    assert command.run(str(file), "--batch-bytes", "150").returncode == 0
    assert command.rows("count") == list(range(100))


@pytest.mark.parametrize(
    "line",
    [
        '{"count": 1},{"count": 2}',
        '{"count": 1} {"count": 2}',
        '{"count": 1}],"updateSchema":true,"rows":[{"other": 2}',
        '{"count": 1',
        "}",
        "[]",
        "7",
        "not JSON",
        '{"count": NaN}',
        '{"site": "half a pair \\ud800"}',
    ],
)
def test_a_line_is_one_object_or_refused(command: InsertCommand, line: str) -> None:
    """No line can be two rows, or change what the request means."""
    text = f'{{"count": 0}}\n{line}\n{{"count": 3}}\n'
    refused = command.run("--format", "ndjson", text=text)
    assert refused.returncode == EXIT_ROWS_REFUSED
    assert re.search("line 2: it (is not one JSON object|holds (NaN|half a surrogate))", refused.stderr)
    assert command.stream.row_count() == 0
    skipped = command.run("--format", "ndjson", "--on-error", "skip", text=text)
    assert skipped.returncode == EXIT_ROWS_LEFT_OUT
    assert command.rows("count") == [0, 3]


def test_two_broken_lines_do_not_make_a_row(command: InsertCommand) -> None:
    """An object over two lines is two bad lines, also where another line holds two objects."""
    text = '{"count": 1\n"site": "a"}\n{"count": 2},{"count": 3}\n{"count": 4,\n"site": "b"}\n{"count": 5}\n'
    skipped = command.run("--format", "ndjson", "--on-error", "skip", text=text)
    assert "1 rows inserted, 5 refused" in skipped.stdout
    assert command.rows("count") == [5]


def test_quarantine_keeps_what_was_refused(command: InsertCommand, tmp_path: Path) -> None:
    """Refused lines stand in the quarantine with line, reasons and content; the rest goes in."""
    file = tmp_path / "rows.jsonl"
    file.write_text('{"count": 1}\r\n\r\n{"count": "two", "day": "x"}\r\n{broken}\r\n{"count": 3}')
    done = command.run(str(file), "--on-error", "quarantine")
    assert done.returncode == EXIT_ROWS_LEFT_OUT
    assert command.rows("count") == [1, 3]
    kept = [json.loads(line) for line in Path(f"{file}.rowkeep-quarantine.jsonl").read_text().splitlines()]
    assert [(entry["row"], entry["content"]) for entry in kept] == [
        (3, {"count": "two", "day": "x"}),
        (4, "{broken}"),
    ]
    assert [reason["variable"] for reason in kept[0]["reasons"]] == ["count", "day"]


def test_many_bad_rows_are_left_out(command: InsertCommand) -> None:
    """More bad rows in a request than the server names at once."""
    text = "".join(f'{{"count": {number if number % 3 else json.dumps("x")}}}\n' for number in range(900))
    done = command.run("--format", "ndjson", "--on-error", "skip", text=text)
    assert "600 rows inserted, 300 refused" in done.stdout
    assert command.rows("count") == [number for number in range(900) if number % 3]


def test_csv(command: InsertCommand, tmp_path: Path) -> None:
    """Fields become what their variables are; an empty one is null, a quoted one may hold anything."""
    file = tmp_path / "rows.csv"
    file.write_text(
        "\ufeffSite,count,temperature,valid,day\r\n"
        '"Zürich, ""HB""\nnorth",3,21.5,TRUE,2026-01-31\r\n'
        "\r\n"
        "007,,1e3,false,\r\n"
    )
    done = command.run(str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert command.stream.rows() == [
        {
            "site": 'Zürich, "HB"\nnorth',
            "count": 3,
            "temperature": 21.5,
            "valid": True,
            "day": "2026-01-31",
        },
        {"site": "007", "count": None, "temperature": 1000.0, "valid": False, "day": None},
    ]


def test_csv_lines_that_do_not_fit(command: InsertCommand, tmp_path: Path) -> None:
    """Text where a number belongs, and a field too many, are named by their lines."""
    file = tmp_path / "rows.csv"
    file.write_text('site,count\n"two\nlines",1\na,many\nb,2,3\nc,4\n')
    refused = command.run(str(file))
    assert refused.returncode == EXIT_ROWS_REFUSED
    assert "line 5: it has 3 fields, but the header has 2" in refused.stderr
    done = command.run(str(file), "--on-error", "quarantine")
    assert done.returncode == EXIT_ROWS_LEFT_OUT
    assert command.rows("count") == [1, 4]
    kept = Path(f"{file}.rowkeep-quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"] for line in kept] == [4, 5]


@pytest.mark.parametrize("header", ["", "site,site", "site,,count", "\n"])
def test_csv_header_that_names_nothing(command: InsertCommand, tmp_path: Path, header: str) -> None:
    """A header must name each variable once."""
    (tmp_path / "rows.csv").write_text(f"{header}\na,b\n" if header else "")
    refused = command.run(str(tmp_path / "rows.csv"))
    assert refused.returncode == EXIT_OTHER
    assert "the first line must name each variable once" in refused.stderr


def test_standard_input_by_a_name_can_be_repeated(command: InsertCommand) -> None:
    """With --source the same input is the same rows, without it new ones."""
    for expected in (20, 20):
        command.run("-", "--format", "ndjson", "--source", "job 7", text=counts(range(20)))
        assert command.stream.row_count() == expected
    for expected in (40, 60):
        command.run("-", "--format", "ndjson", text=counts(range(20)))
        assert command.stream.row_count() == expected


def test_rows_do_not_wait_for_the_end_of_the_input(command: InsertCommand) -> None:
    """What comes over a pipe is in the table after the linger time, and SIGINT ends the wait for more."""
    with command.start("-", "--format", "ndjson", "--linger", "0.1") as process:
        assert process.stdin is not None
        process.stdin.write(counts(range(2)) + '{"count":')
        process.stdin.flush()
        wait_until(lambda: command.stream.row_count() == 2)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    assert process.returncode == EXIT_INTERRUPTED
    assert command.rows("count") == [0, 1]


def test_follow_goes_over_to_the_next_file(command: InsertCommand, tmp_path: Path) -> None:
    """A log that is renamed and begun anew goes on: equal lines of the new file are new rows."""
    file = tmp_path / "log.ndjson"
    file.write_text(counts(range(3)))
    with command.start(str(file), "--follow", "--linger", "0.05") as process:
        wait_until(lambda: command.stream.row_count() == 3)
        file.rename(tmp_path / "log.1")
        with (tmp_path / "log.1").open("a") as late:
            late.write('{"count": 3}\n')
        file.write_text(counts(range(3)))
        wait_until(lambda: command.stream.row_count() == 7)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")
    assert command.rows("count") == [0, 1, 2, 3, 0, 1, 2]
    assert command.run(str(file)).stdout.startswith("0 rows")


def test_another_file_under_the_name(command: InsertCommand, tmp_path: Path) -> None:
    """What was inserted must still be there: a file that was replaced meanwhile is not taken for it."""
    file = tmp_path / "rows.ndjson"
    file.write_text(counts(range(20)))
    command.run(str(file))
    file.write_text(counts(range(100, 130)))
    refused = command.run(str(file))
    assert refused.returncode == EXIT_OTHER
    assert "no longer in the input" in refused.stderr
    assert command.run(str(file), "--again").returncode == 0
    assert command.rows("count") == [*range(20), *range(100, 130)]


def test_one_process_at_a_time(command: InsertCommand, tmp_path: Path) -> None:
    """A second process on the same state is refused."""
    file = tmp_path / "rows.ndjson"
    file.write_text(counts(range(3)))
    with command.start(str(file), "--follow") as process:
        wait_until(lambda: command.stream.row_count() == 3)
        second = command.run(str(file))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert second.returncode == EXIT_OTHER
    assert "another process" in second.stderr


def test_what_goes_wrong_has_a_status_and_a_reason(command: InsertCommand, tmp_path: Path) -> None:
    """The server refuses, is not there, the file is not there, the state is of another insert."""
    file = tmp_path / "rows.ndjson"
    file.write_text(counts(range(3)))

    def failed(*arguments: str, **environment: str) -> tuple[int, str]:
        done = command.run(*arguments, **environment)
        return done.returncode, done.stderr

    status, said = failed(str(file), "--token", "unknown")
    assert (status, "invalid_token" in said) == (EXIT_REQUEST_REFUSED, True)
    nowhere = ("--url", "http://127.0.0.1:9/api/v1", "--state", str(tmp_path / "other"))
    status, said = failed(str(file), *nowhere, "--retry-seconds", "0.3")
    assert (status, "no answer within 0.3 seconds" in said) == (EXIT_UNREACHABLE, True)
    status, said = failed(str(tmp_path / "none.ndjson"))
    assert (status, "none.ndjson" in said) == (EXIT_OTHER, True)
    status, said = failed(str(file), "--batch-bytes", "77")
    assert (status, "another bytes_max (1000000, now 77)" in said) == (EXIT_OTHER, True)
    assert command.stream.row_count() == 0


def test_a_server_that_is_away_is_told_at_once(command: InsertCommand) -> None:
    """While the command still repeats: where it looked, what it found, and for how long it goes on."""
    with command.start("-", "--format", "ndjson", "--url", "http://127.0.0.1:9/api/v1") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(counts(range(3)))
        process.stdin.close()
        line = process.stderr.readline()
        is_running = process.poll() is None
        process.kill()
    assert is_running
    assert line.startswith("rowkeep: nothing listens at 127.0.0.1:9 (connection refused); trying again for ")


@pytest.mark.parametrize("form", ["ndjson", "csv"])
@pytest.mark.parametrize("token", ["unknown", "rk_" + "0" * 40])
def test_errors_are_a_line_that_says_what_to_do(command: InsertCommand, form: str, token: str) -> None:
    """A wrong token, whatever the form asks for first: the reason, and where tokens come from."""
    refused = command.run("-", "--format", form, "--token", token, text=ONE_ROW[form])
    assert refused.returncode == EXIT_REQUEST_REFUSED
    [line] = refused.stderr.splitlines()
    assert line.startswith("rowkeep: the server refused the request (401 invalid_token): ")
    assert "rowkeep token create" in line
    assert "{" not in line


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_something_else_that_answers(command: InsertCommand, server: ServerProcess, form: str) -> None:
    """The wrong address: the line says that no rowkeep server answered, or what it answered."""
    origin = server.url.removesuffix("/api/v1")
    refused = command.run("-", "--format", form, "--url", f"{origin}/elsewhere", text=ONE_ROW[form])
    assert refused.returncode == EXIT_REQUEST_REFUSED
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-"], "--format"),
        (["-", "--format", "ndjson", "--follow"], "take a FILE"),
        (["-", "--format", "ndjson", "--on-error", "quarantine"], "--quarantine"),
        (["x.ndjson", "--quarantine", "y"], "--on-error quarantine"),
        (["x.ndjson", "--in-flight", "0"], "at least 1"),
        (["x.ndjson", "--url", "ftp://example.com"], "is not the URL of an API"),
    ],
)
def test_options_that_do_not_go_together(
    command: InsertCommand, arguments: list[str], complaint: str
) -> None:
    """A misuse is told before anything is read."""
    refused = command.run(*arguments)
    assert refused.returncode == 2
    assert complaint in refused.stderr


def test_token_comes_from_the_environment(command: InsertCommand, server: ServerProcess) -> None:
    """REDIVIS_API_TOKEN serves as well; without any there is an error."""
    text = counts(range(1))
    options = ("--format", "ndjson")
    done = command.run(*options, text=text, ROWKEEP_TOKEN="", REDIVIS_API_TOKEN=server.token)
    assert done.returncode == 0
    without = command.run(*options, text=text, ROWKEEP_TOKEN="", REDIVIS_API_TOKEN="")
    assert without.returncode == 2
    assert "--token" in without.stderr


def test_progress_is_shown_on_a_terminal(command: InsertCommand, tmp_path: Path) -> None:
    """On a terminal there is a bar with rows/s, the rate of bytes and refused rows."""
    file = tmp_path / "rows.ndjson"
    file.write_text(counts(range(2_000)))
    master, terminal = os.openpty()
    shell = 'stty cols 120 rows 30 <"$3"; exec "$0" -m rowkeep insert "$1" s "$2" --batch-bytes 5000 2>"$3"'
    status = command.run_in_shell(shell, str(file), os.ttyname(terminal))
    os.close(terminal)
    shown = ""
    while "\n" not in shown:
        shown += os.read(master, 100_000).decode()
    os.close(master)
    assert status == 0
    assert "rows/s, 0 refused" in shown
    assert "B/s" in shown
