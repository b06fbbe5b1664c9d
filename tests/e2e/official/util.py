"""Stands in for the module `util` that the official client's tests import and its distribution leaves out.

It is copied beside those tests. Its functions are named by their use there.
"""

import os
from pathlib import Path

import redivis

USER = os.environ["ROWKEEP_TEST_USER"]
DATASET = "client_suite"
TABLE = "Suite table"


def get_user_name():
    """Who owns the test data."""
    return USER


def get_dataset_name():
    """The data set of all tests."""
    return DATASET


def get_table_name():
    """Its table, in a form that a query takes."""
    return "suite_table"


def get_dataset():
    """The data set at its next version."""
    return redivis.user(USER).dataset(DATASET, version="next")


def get_table():
    """The table at the next version."""
    return get_dataset().table(TABLE)


def create_test_dataset():
    """The data set with a next version, made if it is missing."""
    dataset = redivis.user(USER).dataset(DATASET)
    if not dataset.exists():
        dataset.create(public_access_level="data")
    return dataset.create_next_version(if_not_exists=True)


def delete_test_dataset():
    """Removes the data set."""
    dataset = redivis.user(USER).dataset(DATASET)
    if dataset.exists():
        dataset.delete()


def clear_test_data():
    """Leaves the next version without the table."""
    if get_table().exists():
        get_table().delete()


def populate_test_data(filename="tiny.csv"):
    """The table with the rows of a file."""
    create_test_dataset()
    clear_test_data()
    table = get_table().create(description="Some info", upload_merge_strategy="replace")
    with Path(f"tests/data/{filename}").open("rb") as file:
        table.upload(name=filename).create(file, remove_on_fail=True)
    return table
