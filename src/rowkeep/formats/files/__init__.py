"""Files that are loaded, read as tables of Arrow batches. See `opening.py`."""

from rowkeep.formats.files.opening import open_file as open_file
from rowkeep.formats.files.table import FileTable as FileTable
