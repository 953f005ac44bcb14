"""Tables in Parquet, by pyarrow (pip install pyarrow: 48 MB): a document a row.

Read next: ../clean.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from tinygpt.curation.readers import Read, Refused
from tinygpt.curation.readers.lines import NAMES
from tinygpt.curation.source import Source
from tinygpt.storage.reading import FormatError

ROWS = 256


def read(source: Source) -> Iterator[Read | Refused]:
    """A document a row.  Raises FormatError for a table without a column of text."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise FormatError("needs pyarrow, which is not installed: `pip install pyarrow`") from None
    number = 0
    try:
        with source.whole() as path, pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            texts = [field.name for field in schema if _is_text(pa, field.type)]
            column = next((name for name in NAMES if name in texts), None)
            if column is None and len(texts) == 1:
                column = texts[0]
            if column is None:
                raise FormatError(f"has no column of text; name one {', '.join(NAMES[:3])} ...")
            for batch in file.iter_batches(ROWS, columns=[column]):
                for text in batch.column(0).to_pylist():
                    number += 1
                    if text:
                        yield Read(f"#{number}", text, "utf-8")
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise FormatError(f"is damaged ({str(error)[:200]})") from None


def _is_text(pa, type_) -> bool:  # type: ignore[no-untyped-def]
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))
