"""Hostile queries: statements that reach for more than rows, and queries that take more than they may."""

from pathlib import Path

FOLDER = Path(__file__).parent
CHARACTERS_MAX = 256_000


def read_attacks(name: str) -> list[tuple[str, str]]:
    """The attacks of a file: what each is, and its text."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    found = [line.partition(" :: ") for line in lines if line and not line.startswith("# ")]
    return [(what, text) for what, _, text in found]


def large_queries() -> list[tuple[str, str]]:
    """Texts as large as a query may be, each deep or long in another way."""
    return [
        ("parentheses", f"SELECT {'(' * 100_000}1{')' * 100_000}"),
        ("case", "SELECT " + "CASE WHEN 1=1 THEN " * 10_000 + "1" + " END" * 10_000),
        ("not", f"SELECT {'NOT ' * 60_000}TRUE"),
        ("minus", f"SELECT {'- ' * 120_000}1"),
        ("and", "SELECT 1 WHERE " + " AND ".join(["1=1"] * 25_000)),
        ("or of names", "SELECT 1 WHERE " + " OR ".join(["a=1"] * 25_000)),
        ("plus", "SELECT " + "+".join(["1"] * 100_000)),
        ("texts", "SELECT " + "||".join(["'a'"] * 50_000)),
        ("queries in queries", "SELECT * FROM (" * 15_000 + "SELECT 1" + ")" * 15_000),
        ("arrays", f"SELECT {'[' * 120_000}1{']' * 120_000}"),
        ("union", " UNION ALL ".join(["SELECT 1"] * 13_000)),
        ("literal", f"SELECT LENGTH('{'x' * 250_000}')"),
        ("columns", "SELECT " + ",".join(f"{number} c{number}" for number in range(18_000))),
        ("list", f"SELECT 1 IN ({','.join(map(str, range(40_000)))})"),
        ("struct", "SELECT STRUCT(" + ",".join(f"1 AS a{number}" for number in range(20_000)) + ")"),
        ("with", "WITH " + ",".join(f"q{n} AS (SELECT 1 a)" for n in range(10_000)) + " SELECT a FROM q1"),
        ("doubling", _doubling()),
        ("divisions", "SELECT " + "1/(" * 2_000 + "1" + ")" * 2_000),
        ("comment that does not end", "SELECT 1 /*" + "x" * 250_000),
        ("quote that does not end", "SELECT '" + "x" * 250_000),
        ("too long", "SELECT '" + "x" * CHARACTERS_MAX + "'"),
        ("control characters", "SELECT '" + "\x00\x01\x02" * 1_000 + "'"),
    ]


def _doubling() -> str:
    parts = ["q0 AS (SELECT 1 AS a)"]
    parts += [f"q{n} AS (SELECT x.a FROM q{n - 1} x CROSS JOIN q{n - 1} y)" for n in range(1, 60)]
    return f"WITH {', '.join(parts)} SELECT COUNT(*) FROM q59"


# What a name or a quote may hide from whoever reads a query by its words. {table} is one that may be read,
# {other} one that may not.
HIDDEN_NAMES = [
    "SELECT * FROM `{other}`",
    "SELECT * FROM (SELECT * FROM `{other}`)",
    "SELECT (SELECT COUNT(*) FROM `{other}`)",
    "SELECT 1 FROM `{table}` WHERE EXISTS (SELECT 1 FROM `{other}`)",
    "SELECT 1 FROM `{table}` WHERE 1 IN (SELECT count FROM `{other}`)",
    "SELECT ARRAY(SELECT count FROM `{other}`)",
    "SELECT 1 FROM `{table}` a JOIN `{other}` b ON TRUE",
    "SELECT 1 FROM `{table}`, `{other}`",
    "SELECT 1 UNION ALL SELECT count FROM `{other}`",
    "WITH q AS (SELECT * FROM `{other}`) SELECT 1",
    "WITH q AS (SELECT 1 AS a) SELECT (WITH r AS (SELECT * FROM `{other}`) SELECT COUNT(*) FROM r) FROM q",
    "SELECT 1 ORDER BY (SELECT COUNT(*) FROM `{other}`)",
    "SELECT 1 FROM `{table}` GROUP BY 1 HAVING (SELECT COUNT(*) FROM `{other}`) > 0",
    "SELECT IF(TRUE, 1, (SELECT COUNT(*) FROM `{other}`))",
    "SELECT SUM((SELECT COUNT(*) FROM `{other}`)) OVER () FROM `{table}`",
    "SELECT 1 /* ` */ FROM `{other}` -- `",
    "SELECT '''`''' FROM `{other}`",
    'SELECT """\' """ FROM `{other}`',
    "SELECT r'\\' FROM `{other}`",
    "SELECT 1 # '\nFROM `{other}`",
    "SELECT 1 FROM\u00a0`{other}`",
    "WITH `{other}` AS (SELECT 1 AS count) SELECT * FROM `{other}`",
    "WITH measurements AS (SELECT 1 AS count) SELECT * FROM `{other}`",
    "SELECT * FROM UNNEST(ARRAY(SELECT count FROM `{other}`))",
    "SELECT 1 FROM `{table}` LIMIT (SELECT COUNT(*) FROM `{other}`)",
    "SELECT * FROM `{table}` PIVOT(COUNT(*) FOR count IN ((SELECT count FROM `{other}`)))",
]
# Names that look like paths and addresses.
PATHS = [
    "/etc/passwd",
    "../../etc/passwd",
    "a.b./etc/passwd",
    "a.b.c.parquet",
    "file:///etc/passwd",
    "http://127.0.0.1:1/x.y.z",
    "s3://bucket.name.key",
    "/proc/self/fd/3",
    "/proc/self/environ",
    "a.b.*",
    "a.b.%2e%2e%2fetc",
    "main.v0",
    "v0",
    "information_schema.tables",
    "pg_catalog.pg_class",
    "duckdb_settings",
    "a.b.c'); DROP TABLE x; --",
    "a.b.\u202ec",
    "..",
    "",
]
