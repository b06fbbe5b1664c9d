"""The lines that durability rests on, each with the tests that must fail without it."""

from typing import NamedTuple

STORAGE = "src/rowkeep/storage"
CLIENT = "src/rowkeep/client"
CLIENT_FILES = "src/rowkeep/client/files"


class Tooth(NamedTuple):
    """What is taken out, and where it should hurt."""

    name: str
    file: str
    before: str
    after: str
    tests: str


TEETH = (
    Tooth(
        "fsync of the WAL at COMMIT",
        f"{STORAGE}/sqlite.py",
        "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = FULL;",
        "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = NORMAL;",
        "tests/crash/test_power_loss.py",
    ),
    Tooth(
        "directory sync when a new file becomes a WAL database",
        f"{STORAGE}/sqlite.py",
        "PRAGMA synchronous = EXTRA;\n",
        "",
        "tests/crash/test_power_loss.py",
    ),
    Tooth(
        "commit of a transaction",
        f"{STORAGE}/sqlite.py",
        'raw.execute("COMMIT")\n            except',
        'raw.execute("ROLLBACK")\n            except',
        "tests/contract",
    ),
    Tooth(
        "rollback of a transaction that failed",
        f"{STORAGE}/sqlite.py",
        'raw.execute("ROLLBACK")',
        'raw.execute("COMMIT")',
        "tests/contract",
    ),
    Tooth(
        "one snapshot for one read",
        f"{STORAGE}/sqlite.py",
        'connection.raw.execute("BEGIN")\n            try:\n                yield connection\n            '
        'finally:\n                connection.raw.execute("COMMIT")',
        "yield connection",
        "tests/contract",
    ),
    Tooth(
        "checksum of an entry, when it is read",
        f"{STORAGE}/journal/entries.py",
        "if checksum != entry.checksum:",
        "if False:",
        "tests/contract",
    ),
    Tooth(
        "what is said of a payload in its checksum",
        f"{STORAGE}/journal/entries.py",
        'zlib.crc32(payload, zlib.crc32(b"%d,%d,%d,%d,%d" % facts))',
        "zlib.crc32(payload)",
        "tests/contract",
    ),
    Tooth(
        "the catalog version in the transaction of the rows",
        f"{STORAGE}/sql/sqlite/migrations/0005_groups.sql",
        "WHERE (SELECT version FROM catalog_state) <> NEW.catalog_version",
        "WHERE NEW.catalog_version < 0",
        "tests/contract",
    ),
    Tooth(
        "where an upload ends in the transaction of the rows",
        f"{STORAGE}/sql/sqlite/migrations/0005_groups.sql",
        "WHERE json_array_length(NEW.entries) <> (",
        "WHERE 0 > (",
        "tests/contract",
    ),
    Tooth(
        "the receipt in the transaction of the rows",
        f"{STORAGE}/journal/journal.py",
        "_json_text(self.receipts)",
        '"[]"',
        "tests/contract",
    ),
    Tooth(
        "nothing is written after a failure",
        f"{STORAGE}/journal/lane.py",
        "if isinstance(error, StorageFailedError) and self._failure is None:",
        "if False:",
        "tests/crash/test_disk_faults.py",
    ),
    Tooth(
        "the answer only after the commit",
        f"{STORAGE}/journal/lane.py",
        "outcomes = self._journal.commit_group(self._database, batches)",
        "outcomes = [Receipt(batch.row_count, batch.change) for batch in batches]\n"
        "            early = CommitTimes(started, started, started)\n"
        "            self._loop.call_soon_threadsafe(self._settle, group, outcomes, size, early)\n"
        "            return self._journal.commit_group(self._database, batches) and None",
        "tests/contract/test_lane.py tests/crash/test_disk_faults.py",
    ),
    Tooth(
        "fsync of a backup's files",
        f"{STORAGE}/backup.py",
        "            sync_file(path)\n",
        "            pass\n",
        "tests/crash/test_backup.py",
    ),
    Tooth(
        "directory sync of a backup",
        f"{STORAGE}/backup.py",
        "    sync_directory(unfinished)\n",
        "",
        "tests/crash/test_backup.py",
    ),
    Tooth(
        "directory sync after a backup's rename",
        f"{STORAGE}/backup.py",
        "    sync_directory(destination.parent)\n",
        "",
        "tests/crash/test_backup.py",
    ),
    Tooth(
        "reading a backup back before it is restored",
        f"{STORAGE}/backup.py",
        "if report.problems:",
        "if False:",
        "tests/e2e/test_verify.py",
    ),
    Tooth(
        "counting rows in verify",
        f"{STORAGE}/verification.py",
        'if (self.row_count, self.byte_count) == (counters["row_count"], counters["byte_count"]):',
        "if True:",
        "tests/e2e/test_verify.py",
    ),
    Tooth(
        "gaps between entries in verify",
        f"{STORAGE}/verification.py",
        "if entry.first_row != self.row_count:",
        "if False:",
        "tests/e2e/test_verify.py",
    ),
    Tooth(
        "an answer counts only for its own request",
        f"{CLIENT}/connection.py",
        'if answer.headers.get("x-request-id") != request_id:',
        "if False:",
        "tests/e2e/test_faulty_network.py",
    ),
    Tooth(
        "a key for every attempt",
        f"{CLIENT}/retrying.py",
        '{"Idempotency-Key": key}',
        "{}",
        "tests/e2e/test_faulty_network.py",
    ),
    Tooth(
        "lines are joined only if each is one object",
        f"{CLIENT_FILES}/ndjson.py",
        "if row_count != line_count:",
        "if False:",
        "tests/unit/test_insertion.py",
    ),
    Tooth(
        "where a batch ends for want of more is known before it is sent",
        f"{CLIENT_FILES}/checkpoint.py",
        "self._unsent.add(key)\n                self._write()",
        "self._unsent.add(key)",
        "tests/crash/test_kill_insert.py",
    ),
    Tooth(
        "fsync of a segment",
        f"{STORAGE}/segments/checked_file.py",
        "        self._disk.sync(self._descriptor)\n",
        "",
        "tests/crash/test_power_loss_segments.py",
    ),
    Tooth(
        "nothing is written to a closed segment",
        f"{STORAGE}/segments/checked_file.py",
        "        if self.closed:\n",
        "        if False:\n",
        "tests/crash/test_segment_faults.py",
    ),
    Tooth(
        "checksum of a segment's block",
        f"{STORAGE}/segments/checked_file.py",
        "if zlib.crc32(block) != self._checksums[first_block + index]:",
        "if False:",
        "tests/crash/test_bit_flips.py",
    ),
    Tooth(
        "length of a segment",
        f"{STORAGE}/segments/checked_file.py",
        "if found != byte_count or",
        "if False or",
        "tests/crash/test_bit_flips.py",
    ),
    Tooth(
        "which rows a segment says it holds",
        f"{STORAGE}/segments/parquet.py",
        "if (metadata.metadata or {}).get(_FACTS) != facts or metadata.num_rows != segment.row_count:",
        "if False:",
        "tests/crash/test_bit_flips.py",
    ),
    Tooth(
        "directory sync after a segment's rename",
        f"{STORAGE}/segments/sealer.py",
        "            self._disk.sync_directory(self._folder)\n",
        "",
        "tests/crash/test_power_loss_segments.py",
    ),
    Tooth(
        "another name for an unfinished segment",
        f"{STORAGE}/segments/sealer.py",
        "            self._disk.rename(unfinished, self._folder / name)\n",
        "            pass\n",
        "tests/contract/test_segments.py",
    ),
    Tooth(
        "removal of a segment that failed",
        f"{STORAGE}/segments/sealer.py",
        "            self._disk.remove(unfinished)\n",
        "            pass\n",
        "tests/crash/test_segment_faults.py",
    ),
    Tooth(
        "counting rows that go into a segment",
        f"{STORAGE}/segments/sealer.py",
        "if found.row_count != plan.row_count:",
        "if False:",
        "tests/crash/test_segment_faults.py",
    ),
    Tooth(
        "each entry once, when others go meanwhile",
        f"{STORAGE}/segments/sealer.py",
        "if entry.first_row != row:  #",
        "if False:  #",
        "tests/crash/test_segment_faults.py",
    ),
    Tooth(
        "gaps between entries that are sealed",
        f"{STORAGE}/segments/sealer.py",
        "if outline.first_row != plan.row_end:",
        "if False:",
        "tests/crash/test_segment_faults.py",
    ),
    Tooth(
        "naming only what is next to be sealed",
        f"{STORAGE}/sql/sqlite/segments.sql",
        "WHERE upload_id = :upload_id AND sealed_row_count = :first_row\n",
        "WHERE upload_id = :upload_id\n",
        "tests/contract/test_segments.py",
    ),
    Tooth(
        "naming nothing where nothing moved",
        f"{STORAGE}/catalog/segments.py",
        "        if moved is not None:\n",
        "        if True:\n",
        "tests/contract/test_segments.py",
    ),
    Tooth(
        "naming a compaction only in place of all its rows",
        f"{STORAGE}/catalog/segments.py",
        'if sum(record["row_count"] for record in replaced) == segment.row_count:',
        "if True:",
        "tests/crash/test_segment_faults.py",
    ),
    Tooth(
        "a wrong compaction rolls back",
        f"{STORAGE}/catalog/segments.py",
        "        if replaced:\n            raise",
        "        if False:\n            raise",
        "tests/crash/test_segment_faults.py",
    ),
    Tooth(
        "dropping only entries that are sealed",
        f"{STORAGE}/sql/sqlite/entries.sql",
        "WHERE upload_id = :upload_id AND first_row < :row_end ORDER BY first_row LIMIT 1000",
        "WHERE upload_id = :upload_id ORDER BY first_row LIMIT 1000",
        "tests/contract/test_segments.py",
    ),
    Tooth(
        "dropping what a dead process left",
        "src/rowkeep/services/maintenance.py",
        "            await self._tried(drop_entries(self._doors, upload_id, row_end))\n",
        "            pass\n",
        "tests/contract/test_segments.py tests/crash/test_crash_points.py",
    ),
    Tooth(
        "sweeping nothing that is named",
        f"{STORAGE}/segments/folder.py",
        "for name in set(present) - named}",
        "for name in set(present)}",
        "tests/contract/test_segments.py",
    ),
    Tooth(
        "grace of unnamed files",
        f"{STORAGE}/segments/folder.py",
        "if now - since >= grace_seconds]",
        "]",
        "tests/contract/test_segments.py",
    ),
    Tooth(
        "directory sync of a data directory's folders",
        f"{STORAGE}/local_files.py",
        "            folder.mkdir(exist_ok=True)\n        sync_directory(self.path)\n",
        "            folder.mkdir(exist_ok=True)\n",
        "tests/crash/test_backup.py",
    ),
    Tooth(
        "rows of deleted uploads as long as a session may ask",
        f"{STORAGE}/sql/sqlite/uploads.sql",
        "WHERE read_streams.expires_at > :now",
        "WHERE 0 AND read_streams.expires_at > :now",
        "tests/contract/test_segments.py",
    ),
    Tooth(
        "a hard link to every segment of a backup",
        f"{STORAGE}/backup.py",
        "            os.link(directory.segments / name, Path(held) / name)\n",
        "            pass\n",
        "tests/crash/test_backup.py tests/e2e/test_verify.py",
    ),
    Tooth(
        "segments of a restore",
        f"{STORAGE}/backup.py",
        "        shutil.copytree(backup.segments, copy.segments)\n",
        "        pass\n",
        "tests/crash/test_backup.py tests/e2e/test_verify.py",
    ),
    Tooth(
        "gaps between segments in verify",
        f"{STORAGE}/verification.py",
        "if segment.first_row != self.row_count:",
        "if False:",
        "tests/crash/test_bit_flips.py",
    ),
    Tooth(
        "where the segments end in verify",
        f"{STORAGE}/verification.py",
        "if said == (self.row_count, self.byte_count):",
        "if True:",
        "tests/crash/test_bit_flips.py",
    ),
    Tooth(
        "unnamed files in verify",
        f"{STORAGE}/verification.py",
        "    problems += _unnamed_files(database, directory)\n",
        "",
        "tests/crash/test_bit_flips.py",
    ),
    Tooth(
        "directory sync of a new data directory's own name",
        f"{STORAGE}/local_files.py",
        "            sync_directory(folder.parent)  #",
        "            pass  #",
        "tests/crash/test_backup.py",
    ),
)
