"""What the files below a folder say, in the clear: parquet by its values, archives by their members, anything else by its bytes."""

import gzip
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.parquet as pq


def texts(path: Path) -> Iterator[bytes]:
    """The content of a file in pieces."""
    if path.suffix == ".parquet":
        for batch in pq.ParquetFile(path).iter_batches():
            yield repr(batch.to_pydict()).encode()
    elif path.suffix == ".gz":
        yield gzip.decompress(path.read_bytes())
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    else:
        yield path.read_bytes()


def found(places: Iterable[Path], pattern: str) -> dict[str, int]:
    """Files at or below `places` that say something `pattern` matches, in their names or content, with the number of matches."""
    wanted = re.compile(pattern.encode())
    files = sorted({path for place in places for path in (place, *place.rglob("*")) if path.is_file()})
    counts = {str(path): sum(len(wanted.findall(text)) for text in (str(path).encode(), *texts(path))) for path in files}
    return {path: count for path, count in counts.items() if count}
