"""Delimited files: how they are written, what is wrong with them, what they are called."""

import gzip
import random
import zlib

import zstandard

from rowkeep.model.types import VariableType
from tests.corpus.case import Case, Refused, Table

_AB = {"a": "integer", "b": "integer"}
_AS = {"a": "integer", "b": "string"}
_SS = {"a": "string", "b": "string"}
_TWO = [(1, 2), (3, 4)]


def _case(name: str, content: str | bytes, expected: Table | Refused, **options: object) -> Case:
    """A file that is called `.csv` unless its name says otherwise."""
    data = content.encode() if isinstance(content, str) else content
    return Case(name if "/" in name else f"csv-{name}/a.csv", data, expected, options)


def _many(row: str, count: int, *others: str) -> str:
    return f"{row}\n" * count + "".join(f"{other}\n" for other in others)


_NOISE = random.Random(19).randbytes(4_000)

CASES = [
    # How it is written.
    _case("plain", "a,b\n1,2\n3,4\n", Table(_AB, _TWO)),
    _case("no-last-newline", "a,b\n1,2\n3,4", Table(_AB, _TWO)),
    _case("crlf", "a,b\r\n1,2\r\n3,4\r\n", Table(_AB, _TWO)),
    _case("cr", "a,b\r1,2\r3,4\r", Table(_AB, _TWO)),
    _case("mixed-newlines", "a,b\n1,2\r\n3,4\n", Table(_AB, _TWO)),
    _case("blank-lines", "\n\na,b\n1,2\n\n3,4\n\n", Table(_AB, _TWO)),
    _case("blank-line-in-one-column", "a\n1\n\n2\n", Table({"a": "integer"}, [(1,), (None,), (2,)])),
    _case("tabs/a.tsv", "a\tb\n1\t2\n3\t4\n", Table(_AB, _TWO)),
    _case("tabs-named-csv", "a\tb\n1\t2\n3\t4\n", Table(_AB, _TWO)),
    _case("pipes/a.psv", "a|b\n1|2\n3|4\n", Table(_AB, _TWO)),
    _case("semicolons", "a;b\n1;2\n3;4\n", Table(_AB, _TWO)),
    _case(
        "semicolons-decimal-comma",
        "a;b\n1,5;2\n2,25;3\n",
        Table({"a": "string", "b": "integer"}, [("1,5", 2), ("2,25", 3)]),
    ),
    _case(
        "commas-in-semicolon-text",
        "a;b\nx, y;1\np, q;2\n",
        Table({"a": "string", "b": "integer"}, [("x, y", 1), ("p, q", 2)]),
    ),
    _case("one-column-semicolon-late", "c0\nv0\na;b\n", Table({"c0": "string"}, [("v0",), ("a;b",)])),
    _case("separator-line", "sep=;\na;b\n1;2\n3;4\n", Table(_AB, _TWO)),
    _case("tsv-with-commas/a.tsv", "a\tb\n1,5\t2\n", Table({"a": "string", "b": "integer"}, [("1,5", 2)])),
    _case("no-extension/file", "a,b\n1,2\n3,4\n", Table(_AB, _TWO)),
    _case("unknown-extension/a.dat", "a,b\n1,2\n3,4\n", Table(_AB, _TWO)),
    _case("given-delimiter", "a:b\n1:2\n3:4\n", Table(_AB, _TWO), delimiter=":"),
    _case("given-delimiter-spelled", "a\tb\n1\t2\n", Table(_AB, [(1, 2)]), delimiter="\\t"),
    _case("delimiter-of-two", "a||b\n1||2\n", Refused("delimiter is '||'"), delimiter="||"),
    _case("delimiter-not-ascii", "a§b\n", Refused("one ASCII character"), delimiter="§"),
    _case("bom", b"\xef\xbb\xbfa,b\n1,2\n3,4\n", Table(_AB, _TWO)),
    _case("bom-quoted", b'\xef\xbb\xbf"a","b"\n1,2\n3,4\n', Table(_AB, _TWO)),
    _case(
        "utf-16-le",
        "name,n\nZoë,1\n東京,2\n".encode("utf-16"),
        Table({"name": "string", "n": "integer"}, [("Zoë", 1), ("東京", 2)]),
    ),
    _case("utf-16-be", b"\xfe\xff" + "a,b\n1,2\n3,4\n".encode("utf-16-be"), Table(_AB, _TWO)),
    _case("utf-16-no-bom", "a,b\n1,2\n3,4\n".encode("utf-16-le"), Table(_AB, _TWO)),
    _case("utf-32", "a,b\n1,2\n3,4\n".encode("utf-32"), Table(_AB, _TWO)),
    _case(
        "cp1252",
        "name,n\nMüller,1\n“q”,2\n".encode("cp1252"),
        Table({"name": "string", "n": "integer"}, [("Müller", 1), ("“q”", 2)], warning="cp1252"),
    ),
    _case(
        "cp1252-late",
        (_many("x", 30_000) + "é\n").encode("cp1252"),
        Table({"x": "string"}, 30_000, warning="line 30001"),
    ),
    _case(
        "given-encoding",
        "name\nПривет\n".encode("cp1251"),
        Table({"name": "string"}, [("Привет",)]),
        encoding="cp1251",
    ),
    _case("given-encoding-wrong", b"a\n\xff\n", Refused("byte 0xff"), encoding="utf-8"),
    _case("given-encoding-unknown", "a\n1\n", Refused("'klingon' is not known"), encoding="klingon"),
    _case("given-encoding-no-text", "a\n1\n", Refused("is not known"), encoding="base64"),
    _case("bom-but-not-utf-8", b"\xef\xbb\xbfa\n\xff\n", Refused("byte 0xff")),
    _case(
        "ends-in-a-character",
        "a\né".encode()[:-1],
        Table({"a": "string"}, [("Ã",)], warning="ends in the middle"),
    ),
    # Quotes.
    _case("quoted-all", '"a","b"\n"1","2"\n"3","4"\n', Table(_AB, _TWO)),
    _case("quoted-empty-is-text", 'a,b\n1,""\n2,\n', Table(_AS, [(1, ""), (2, None)])),
    _case(
        "quoted-empty-among-numbers",
        'a,b\n"",1\n5,2\n',
        Table({"a": "string", "b": "integer"}, [("", 1), ("5", 2)]),
    ),
    _case("quoted-newline", 'a,b\n1,"x\ny"\n2,z\n', Table(_AS, [(1, "x\ny"), (2, "z")])),
    _case("quoted-crlf", 'a,b\r\n1,"x\r\ny"\r\n2,z\r\n', Table(_AS, [(1, "x\r\ny"), (2, "z")])),
    _case(
        "quoted-newline-in-header",
        '"a\nb",c\n1,2\n',
        Table({"a_b": "integer", "c": "integer"}, [(1, 2)], labels={"a_b": "a\nb"}),
    ),
    _case("doubled-quote", 'a,b\n1,"say ""hi"""\n2,""""\n', Table(_AS, [(1, 'say "hi"'), (2, '"')])),
    _case(
        "inch-sign", 'a,b\n1,5" disk\n2,the "best" one\n', Table(_AS, [(1, '5" disk'), (2, 'the "best" one')])
    ),
    _case("quote-goes-on", 'a,b\n1,"5"6\n2,x\n', Refused("goes on behind its closing quote", [2], 1)),
    _case(
        "quote-goes-on-skipped", 'a,b\n1,"5"6\n2,x\n', Table(_AS, [(2, "x")], bad=1), skip_bad_records=True
    ),
    _case("inch-in-quotes", 'a,b\n1,"5" disk"\n', Refused("goes on behind", [2])),
    _case("unterminated", 'a,b\n1,"x\n2,y\n3,z\n', Refused("never closed", [2], 1)),
    _case(
        "unterminated-skipped",
        'a,b\n1,"x\n2,y\n3,z\n',
        Table(_AS, [(2, "y"), (3, "z")], bad=1),
        skip_bad_records=True,
    ),
    _case("unterminated-last", 'a\nx\n"', Refused("never closed", [3])),
    _case("unterminated-last-line", 'a\nx\n"\n', Refused("never closed", [3])),
    _case("unterminated-header", '"a,b\n1,2\n', Refused("no header")),
    _case(
        "spaces-before-quotes",
        'a, b\n1, "x, y"\n2, "z"\n',
        Table({"a": "integer", "b": "string"}, [(1, "x, y"), (2, "z")]),
    ),
    _case("single-quotes", "'a','b'\n'x, y','1'\n", Table({"a": "string", "b": "integer"}, [("x, y", 1)])),
    _case(
        "apostrophes",
        "a,b\nit's,1\n'tis,2\n",
        Table({"a": "string", "b": "integer"}, [("it's", 1), ("'tis", 2)]),
    ),
    _case(
        "no-quote",
        'a,b\n"x,1\ny",2\n',
        Table({"a": "string", "b": "integer"}, [('"x', 1), ('y"', 2)]),
        quote_character="",
    ),
    _case(
        "given-quote",
        "a,b\n|x,y|,1\n",
        Table({"a": "string", "b": "integer"}, [("x,y", 1)]),
        quote_character="|",
        delimiter=",",
    ),
    _case("backslash-escape", 'a,b\n1,"x\\"y"\n2,"z"\n', Table(_AS, [(1, 'x"y'), (2, "z")])),
    _case(
        "given-escape",
        'a,b\n1,"x\\"y"\n2,"z, \\\\"\n',
        Table(_AS, [(1, 'x"y'), (2, "z, \\")]),
        escape_character="\\",
    ),
    _case("backslash-is-text", "a,b\n1,C:\\dir\\\n2,\\\n", Table(_AS, [(1, "C:\\dir\\"), (2, "\\")])),
    _case(
        "no-quoted-newlines",
        'a,b\n1,"x\ny"\n2,z\n',
        Refused("hasQuotedNewlines", [2]),
        has_quoted_newlines=False,
    ),
    _case(
        "newlines-that-look-like-records",
        'a,b\n1,"\n2,3\n4,5\n"\n6,7\n',
        Table(_AS, [(1, "\n2,3\n4,5\n"), (6, "7")]),
    ),
    # Records.
    _case("too-long", "a,b\n1,2\n1,2,3\n3,4\n", Refused("3 fields", [3], 1)),
    _case("too-short", "a,b\n1,2\n3\n", Refused("1 field", [3], 1)),
    _case("bad-skipped", "a,b\n1,2\n1,2,3\n9\n3,4\n", Table(_AB, _TWO, bad=2), skip_bad_records=True),
    _case(
        "bad-late",
        _many("a,b", 1) + _many("1,2", 30_000, "1,2,3", "1"),
        Refused("Line 30002", [30_002, 30_003], 2),
    ),
    _case(
        "width-changes",
        _many("a,b", 1) + _many("1,2", 1_000) + _many("1,2,3", 29_000),
        Refused("Line 1002", list(range(1002, 1102)), 29_000),
    ),
    _case(
        "jagged",
        "a,b,c\n1\n1,2\n1,2,3\n",
        Table({"a": "integer", "b": "integer", "c": "integer"}, [(1, None, None), (1, 2, None), (1, 2, 3)]),
        allow_jagged_rows=True,
    ),
    _case("jagged-too-long", "a,b\n1\n1,2,3\n", Refused("3 fields", [3], 1), allow_jagged_rows=True),
    _case("delimiters-at-the-end", "a,b\n1,2,\n3,4,\n", Table(_AB, _TWO)),
    _case(
        "delimiters-at-the-end-of-all",
        "a,b,\n1,2,\n3,4,\n",
        Table({"a": "integer", "b": "integer", "column": "string"}, [(1, 2, None), (3, 4, None)]),
    ),
    _case("spaces-line", "a,b\n  \n1,2\n", Refused("1 field", [2])),
    _case("header-only", "a,b\n", Table(_SS, [])),
    _case("header-only-no-newline", "a,b", Table(_SS, [])),
    _case("empty", "", Refused("it is empty")),
    _case("blank", "\n\n\n", Refused("has no record")),
    _case(
        "no-header",
        "1,2\n3,4\n",
        Table({"column_1": "integer", "column_2": "integer"}, _TWO),
        has_header_row=False,
    ),
    _case(
        "no-header-text",
        "Paris,France\nRome,Italy\n",
        Table({"column_1": "string", "column_2": "string"}, [("Paris", "France"), ("Rome", "Italy")]),
        has_header_row=False,
    ),
    _case(
        "all-text-has-header",
        "city,country\nParis,France\n",
        Table({"city": "string", "country": "string"}, [("Paris", "France")]),
    ),
    _case(
        "numeric-header",
        "2020,2021\n1,2\n",
        Table({"_2020": "integer", "_2021": "integer"}, [(1, 2)], labels={"_2020": "2020"}),
    ),
    _case(
        "names",
        "id,ID,id,,_upload_name,2nd col,var.2,a_b,a-b\n1,2,3,4,5,6,7,8,9\n",
        Table(
            dict.fromkeys(
                ["id", "ID_1", "id_2", "column", "_upload_name_1", "_2nd_col", "var_2", "a_b", "a_b_1"],
                "integer",
            ),
            [(1, 2, 3, 4, 5, 6, 7, 8, 9)],
            labels={"a_b_1": "a-b", "_2nd_col": "2nd col"},
        ),
    ),
    _case(
        "long-name",
        f"{'x' * 300},b\n1,2\n",
        Table({"x" * 60: "integer", "b": "integer"}, [(1, 2)], labels={"x" * 60: "x" * 256}),
    ),
    _case(
        "too-many-columns",
        ",".join(f"c{number}" for number in range(10_001)) + "\n",
        Refused("10001 columns"),
    ),
    _case("a-million-columns", "a," * 1_000_000 + "\n", Refused("1000001 columns")),
    # Nulls and types that are given.
    _case(
        "null-markers", 'a,b\n1,NA\nNA,"NA"\n', Table(_AS, [(1, None), (None, "NA")]), null_markers=("NA",)
    ),
    _case(
        "null-markers-several",
        "a,b\n1,-99\n.,2\n",
        Table(_AB, [(1, None), (None, 2)]),
        null_markers=("-99", "."),
    ),
    _case("given-type", "a,b\n007,2\n", Table(_AB, [(7, 2)]), types={"a": VariableType.INTEGER}),
    _case(
        "given-string",
        "a,b\n7,2\n",
        Table({"a": "string", "b": "integer"}, [("7", 2)]),
        types={"A": VariableType.STRING},
    ),
    _case(
        "given-type-by-repaired-name",
        "a b,c\n1,2\n",
        Table({"a_b": "float", "c": "integer"}, [(1.0, 2)]),
        types={"a_b": VariableType.FLOAT},
    ),
    _case(
        "given-type-misfit",
        "a,b\n1,2\nNA,3\n",
        Refused("Line 3, column 'a'", [3], 1),
        types={"a": VariableType.INTEGER},
    ),
    _case(
        "given-type-misfit-skipped",
        "a,b\n1,2\nNA,3\n5,6\n",
        Table(_AB, [(1, 2), (5, 6)], bad=1),
        types={"a": VariableType.INTEGER},
        skip_bad_records=True,
    ),
    _case(
        "given-date-misfit",
        "a,b\n2024-01-02,2\n2024-02-30,3\n",
        Refused("expected a date", [3], 1),
        types={"a": VariableType.DATE},
    ),
    _case(
        "given-type-after-quoted-newlines",
        'a,b\n1,"x\ny"\nz,w\n',
        Refused("Line 4", [4], 1),
        types={"a": VariableType.INTEGER},
    ),
    _case(
        "given-type-unknown-column",
        "a,b\n1,2\n",
        Refused("no such column"),
        types={"z": VariableType.INTEGER},
    ),
    _case(
        "given-float-many-digits",
        "a,b\n0.12345678901234567890,1\n",
        Table({"a": "float", "b": "integer"}, [(0.12345678901234568, 1)]),
        types={"a": VariableType.FLOAT},
    ),
    _case(
        "misfits-and-bad-records",
        "a,b\nx,2\n1,2,3\n5,6\n",
        Table(_AB, [(5, 6)], bad=2),
        types={"a": VariableType.INTEGER},
        skip_bad_records=True,
    ),
    _case(
        "types-in-the-last-line",
        _many("v,n", 1) + _many("1,1", 70_000, "x,1"),
        Table({"v": "string", "n": "integer"}, 70_001),
    ),
    # Compression.
    _case("gzip/a.csv.gz", gzip.compress(b"a,b\n1,2\n3,4\n"), Table(_AB, _TWO)),
    _case("gzip-named-csv", gzip.compress(b"a,b\n1,2\n3,4\n"), Table(_AB, _TWO)),
    _case(
        "gzip-two-members/a.csv.gz", gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"), Table(_AB, _TWO)
    ),
    _case("gzip-truncated/a.csv.gz", gzip.compress(_NOISE.hex().encode())[:-200], Refused("not whole")),
    _case("gzip-wrong-checksum/a.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-8] + bytes(8), Refused("not whole")),
    _case(
        "gzip-followed-by-something/a.csv.gz",
        gzip.compress(b"a,b\n1,2\n") + b"tail",
        Refused("something follows"),
    ),
    _case("gzip-of-gzip/a.csv.gz", gzip.compress(gzip.compress(b"a,b\n1,2\n")), Refused("binary")),
    _case("zstd/a.csv.zst", zstandard.compress(b"a,b\n1,2\n3,4\n"), Table(_AB, _TWO)),
    _case("zstd-truncated/a.csv.zst", zstandard.compress(_NOISE)[:-100], Refused("not whole")),
    _case("gzip-utf-16/a.csv.gz", gzip.compress("a,b\n1,2\n3,4\n".encode("utf-16")), Table(_AB, _TWO)),
    # What is no delimited file.
    _case("nul-in-text", "a,b\n1,x\x00y\n2,z\n", Table(_AS, [(1, "x\x00y"), (2, "z")])),
    _case("nuls", bytes(10_000), Refused("binary")),
    _case("noise", _NOISE, Refused("binary")),
    _case("zip-named-csv", b"PK\x03\x04" + _NOISE, Refused("ZIP archive")),
    _case("pdf-named-csv", b"%PDF-1.7\n" + _NOISE, Refused("PDF")),
    _case("sqlite-named-csv", b"SQLite format 3\x00" + _NOISE, Refused("SQLite")),
    _case("bzip2-named-csv", b"BZh91AY" + _NOISE, Refused("bzip2")),
    _case("xz-named-csv", b"\xfd7zXZ\x00" + _NOISE, Refused("xz")),
    _case("r-data-named-csv", b"RDX3\nX\n" + _NOISE, Refused("R data file")),
    _case("zlib-named-csv", zlib.compress(_NOISE), Refused("binary")),
    _case("unknown-type", "a\n1\n", Refused("'tabular' is not known"), type="tabular"),
    _case("given-type-of-file/a.unknown", "a,b\n1,2\n", Table(_AB, [(1, 2)]), type="csv"),
    # Sizes.
    _case("big-cell", f"a,b\n1,{'x' * 3_000_000}\n", Table(_AS, 1)),
    _case("cell-too-big", f"a,b\n1,{'x' * 17_000_000}\n", Refused("longer than 16 MiB", [2])),
    _case("many-big-cells", "a,b\n" + f"1,{'x' * 1_500_000}\n" * 4, Table(_AS, 4)),
]
