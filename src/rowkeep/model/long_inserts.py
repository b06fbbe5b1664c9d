"""The keys of a long insert: each group is kept under the insert's key and the number of its first row.

The numbers count the rows of the insert, from 0 and over all its connections. They have one length, so
that the order of the keys is that of the groups.
"""

ROW_DIGITS = 12
GROUP_KEY_CHARACTERS_MAX = 255
LAST_ROW = 10**ROW_DIGITS - 1
KEY_CHARACTERS_MAX = GROUP_KEY_CHARACTERS_MAX - 1 - ROW_DIGITS


def group_key(key: str, row: int) -> str:
    """Returns the key of the group that begins with a row."""
    return f"{key}:{row:0{ROW_DIGITS}d}"


def first_row_of(key: str) -> int:
    """Returns the number of the first row of a key's group."""
    return int(key[-ROW_DIGITS:])
