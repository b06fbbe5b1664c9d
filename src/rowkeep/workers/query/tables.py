"""The tables of a query as views: segments where they lie, entries as rows in memory, one snapshot.

A view has the table's variables as c0, c1 and so on. Segments are read from their open files, with an exact
list for each version of a schema; what a query does not need of them is not read. Rows of undone requests are
left out by their numbers. Where a variable is of a wider type by now, its older values keep their text.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from rowkeep.formats.arrow import arrow_schema
from rowkeep.formats.columns import columns_of
from rowkeep.model.decoding.strict import row_decoder
from rowkeep.model.errors import damaged
from rowkeep.model.queries import QueryTable, SegmentPart, UploadPart
from rowkeep.model.resources import Entry
from rowkeep.model.schema import Schema, Variable
from rowkeep.model.types import VariableType
from rowkeep.sql.fragments import quoted
from rowkeep.sql.types import DUCKDB_TYPES, TYPE_OF_VARIABLE
from rowkeep.storage.journal.rows import decoded_pieces
from rowkeep.storage.local_files import Disk
from rowkeep.storage.local_segments import LocalSegments
from rowkeep.storage.segments.checked_file import CheckedFile
from rowkeep.workers.entries_file import read_entries
from rowkeep.workers.query.engine import QueryEngine

UPLOAD_NAME_COLUMN = "_upload_name"


def check_blocks(path: Path, byte_count: int, checksums: bytes) -> None:
    """Reads every block of a segment's file. Raises internal_error when a block is damaged."""
    file = CheckedFile(LocalSegments(path.parent, Disk()), path.name, byte_count, checksums)
    try:
        for _ in file.checked_blocks():
            pass
    finally:
        file.close()


class TableViews:
    """Makes the views of a query's tables in an engine."""

    def __init__(self, engine: QueryEngine, entries: BinaryIO) -> None:
        self._engine = engine
        self._entries = entries

    def add(self, view: str, table: QueryTable) -> None:
        """Makes the view of a table. Its entries are the next ones in the file of entries."""
        parts: list[str] = []
        for upload in table.uploads:
            parts += self._segment_sql(table, upload)
        rows = self._entry_rows(table)
        if rows is not None:
            self._engine.add_rows(f"{view}_rows", rows)
            parts.append(f"SELECT * FROM {view}_rows")
        self._engine.add_view(view, " UNION ALL ".join(parts) or _no_rows(table))

    def add_named(self, name: str, view: str, table: QueryTable) -> None:
        """Makes a view whose variables have their own names, as the DuckDB dialect uses them."""
        labels = [variable.name for variable in table.schema.variables]
        if table.has_upload_name:
            labels.append(UPLOAD_NAME_COLUMN)
        columns = ", ".join(f"c{index} AS {_identifier(label)}" for index, label in enumerate(labels))
        self._engine.add_view(name, f"SELECT {columns or 'NULL AS z'} FROM {view}")

    def _segment_sql(self, table: QueryTable, upload: UploadPart) -> Iterator[str]:
        schemas = {schema.version: schema for schema in upload.schemas}
        whole: dict[int, list[str]] = {}
        for segment in upload.segments:
            if segment.checksums is not None:
                check_blocks(Path(segment.path), segment.byte_count, segment.checksums)
            name = self._engine.open_file(segment.path, segment.byte_count)
            if segment.is_whole:
                whole.setdefault(segment.schema_version, []).append(name)
            else:
                columns = _columns_sql(table, upload, schemas[segment.schema_version])
                yield f"SELECT {columns} FROM {_reading([name], _kept(segment))}"
        for version, names in whole.items():
            yield f"SELECT {_columns_sql(table, upload, schemas[version])} FROM {_reading(names, None)}"

    def _entry_rows(self, table: QueryTable) -> pa.Table | None:
        batches = [
            batch
            for upload in table.uploads
            for batch in _entry_batches(table, upload, read_entries(self._entries, upload.entry_count))
        ]
        return pa.Table.from_batches(batches) if batches else None


def _reading(names: list[str], kept: str | None) -> str:
    listed = ", ".join(quoted(name) for name in names)
    if kept is None:
        return f"read_parquet([{listed}])"
    return f"read_parquet([{listed}], file_row_number = true) WHERE {kept}"


def _kept(segment: SegmentPart) -> str:
    ranges = (f"file_row_number BETWEEN {first} AND {end - 1}" for first, end in segment.ranges)
    return f"({' OR '.join(ranges)})"


def _no_rows(table: QueryTable) -> str:
    types = [DUCKDB_TYPES[TYPE_OF_VARIABLE[variable.type].name] for variable in table.schema.variables]
    if table.has_upload_name:
        types.append("VARCHAR")
    columns = [f"CAST(NULL AS {type_}) AS c{index}" for index, type_ in enumerate(types)] or ["NULL AS z"]
    return f"SELECT {', '.join(columns)} WHERE FALSE"


def _columns_sql(table: QueryTable, upload: UploadPart, stored: Schema) -> str:
    positions = stored.position_by_key()
    columns = []
    for index, variable in enumerate(table.schema.variables):
        position = positions.get(variable.name.lower())
        found = None if position is None else stored.variables[position]
        columns.append(f"{_column_sql(found, variable.type)} AS c{index}")
    if table.has_upload_name:
        columns.append(f"{quoted(upload.name)} AS c{len(table.schema.variables)}")
    return ", ".join(columns) or "NULL AS z"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column_sql(stored: Variable | None, type_: VariableType) -> str:
    duckdb_type = DUCKDB_TYPES[TYPE_OF_VARIABLE[type_].name]
    if stored is None:
        return f"CAST(NULL AS {duckdb_type})"
    name = _identifier(stored.name)
    if stored.type is type_ or stored.type is VariableType.GEOGRAPHY:
        return name
    if type_ is not VariableType.STRING:
        return f"CAST({name} AS {duckdb_type})"
    if stored.type is VariableType.FLOAT:
        return f"bq_stored_text({name})"
    text = f"CAST({name} AS VARCHAR)"
    width = {VariableType.DATE_TIME: 26, VariableType.TIME: 15}.get(stored.type)
    if width is None:
        return text
    # A fraction has six digits or none.
    return f"CASE WHEN microsecond({name}) % 1000000 = 0 THEN {text} ELSE rpad({text}, {width}, '0') END"


def _entry_batches(
    table: QueryTable, upload: UploadPart, entries: Iterator[Entry]
) -> Iterator[pa.RecordBatch]:
    decoders = {schema.version: row_decoder(schema) for schema in upload.schemas}
    for entry in entries:
        decoder = decoders.get(entry.schema_version)
        if decoder is None:
            raise damaged(f"The rows of upload {entry.upload_id} are in a schema that it has not.")
        row = entry.first_row
        for rows, _ in decoded_pieces(entry, decoder):
            for slice_ in upload.slices:
                kept = rows[max(slice_.first_row - row, 0) : max(slice_.row_end - row, 0)]
                if kept:
                    yield _batch(table, upload, columns_of(kept, decoder.schema, table.schema), len(kept))
            row += len(rows)


def _batch(
    table: QueryTable, upload: UploadPart, columns: list[list[object]], row_count: int
) -> pa.RecordBatch:
    fields = arrow_schema(table.schema)
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, fields, strict=True)]
    if table.has_upload_name:
        arrays.append(pa.array([upload.name] * row_count, type=pa.string()))
    if not arrays:
        arrays = [pa.nulls(row_count, pa.int32())]
        return pa.RecordBatch.from_arrays(arrays, names=["z"])
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{index}" for index in range(len(arrays))])
