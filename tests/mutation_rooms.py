"""The rooms that `scripts/mutate` can put faults into, each with the tests that should notice."""

from typing import NamedTuple


class MutationRoom(NamedTuple):
    """Files or folders of the package, and the tests of what they do, quickest first."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


def _room(sources: str, tests: str) -> MutationRoom:
    return MutationRoom(tuple(sources.split()), tuple(f"tests/{test}" for test in tests.split()))


ROOMS = {
    "model": _room(
        """
        model/access.py model/chain.py model/errors.py model/geography.py model/growth.py
        model/inflating.py model/positions.py model/quarantine.py model/rate_limits.py
        model/receipts.py model/references.py model/schema.py model/types.py
        """,
        """
        unit/test_access_model.py unit/test_permits.py unit/test_geography.py unit/test_growth.py
        unit/test_inflating.py unit/test_rate_limits.py unit/test_receipts.py
        unit/test_references.py unit/test_reachable_names.py unit/test_schema.py unit/test_types.py
        contract/test_chains.py contract/test_quarantine.py api/test_follow.py
        api/test_rate_limits.py
        """,
    ),
    "decoding": _room(
        """
        model/decoding
        """,
        """
        unit/test_decoding.py unit/test_lenient.py unit/test_lenient_columns.py unit/test_large.py
        unit/test_row_lines.py unit/test_skipping.py unit/test_types.py unit/test_doubled_keys.py
        unit/test_roads.py
        """,
    ),
    "insert": _room(
        """
        services/insert
        """,
        """
        unit/test_turns.py unit/test_inserts_again.py unit/test_routing.py unit/test_looking.py
        api/test_uploads_side_by_side.py api/test_insert_rows.py api/test_receipts.py
        api/test_long_insert.py api/test_long_insert_limits.py api/test_validate_only.py
        api/test_skip_invalid_rows.py api/test_growing_schema.py api/test_limits.py
        api/test_rate_limits.py api/test_server_timing.py
        """,
    ),
    "read": _room(
        """
        services/read
        """,
        """
        unit/test_read.py unit/test_rounds.py api/test_reads.py api/test_follow.py
        api/test_follow_limits.py api/test_follow_sealing.py api/test_statistics.py
        """,
    ),
    "services": _room(
        """
        services/access.py services/accounts.py services/datasets.py services/grants.py
        services/organizations.py services/tables.py services/uploads.py services/variables.py
        services/versions.py
        """,
        """
        unit/test_permits.py contract/test_catalog.py unit/test_version_model.py
        api/test_metadata.py api/test_versions.py api/test_drafts.py api/test_released.py
        api/test_version_contents.py api/test_pagination.py api/test_access.py
        api/test_access_matrix.py e2e/test_cli_access.py
        """,
    ),
    "journal": _room(
        """
        storage/journal
        """,
        """
        contract/test_unlike_groups.py contract/test_lane.py contract/test_lane_room.py
        contract/test_lane_failures.py contract/test_journal.py contract/test_common_groups.py
        contract/test_quarantine.py contract/test_chains.py crash/test_disk_faults.py
        """,
    ),
    "segments": _room(
        """
        storage/segments services/maintenance.py
        """,
        """
        unit/test_checked_file.py contract/test_segments.py contract/test_sealing_races.py
        crash/test_segment_faults.py crash/test_bit_flips.py crash/test_crash_points.py
        """,
    ),
    "catalog": _room(
        """
        storage/catalog storage/sqlite.py
        """,
        """
        contract/test_sqlite.py unit/test_permits.py contract/test_catalog.py
        unit/test_version_model.py api/test_metadata.py api/test_versions.py api/test_drafts.py
        api/test_released.py api/test_version_contents.py api/test_pagination.py api/test_access.py
        api/test_access_matrix.py e2e/test_cli_access.py
        """,
    ),
    "http": _room(
        """
        api/http
        """,
        """
        api/test_bad_input.py api/test_encodings.py api/test_head.py api/test_request_id.py
        api/test_connections.py api/test_insert_rows.py api/test_long_insert.py api/test_access.py
        api/test_server_timing.py house/test_openapi.py e2e/test_r_client.py
        """,
    ),
    "client": _room(
        """
        client
        """,
        """
        unit/test_insert_files.py unit/test_client.py unit/test_client_connection.py
        unit/test_client_waiting.py
        e2e/test_row_stream.py e2e/test_insert_command.py e2e/test_faulty_network.py
        crash/test_client_power_loss.py
        """,
    ),
}
