"""The readers' old place; `errors`, `images`, `labels` and `folders` have them."""

from embedseg_ops.data.errors import DataError as DataError
from embedseg_ops.data.folders import Source as Source
from embedseg_ops.data.folders import find_files as find_files
from embedseg_ops.data.folders import find_sources as find_sources
from embedseg_ops.data.folders import label_stem as label_stem
from embedseg_ops.data.folders import read_source_labels as read_source_labels
from embedseg_ops.data.images import read_image as read_image
from embedseg_ops.data.labels import read_labels as read_labels
