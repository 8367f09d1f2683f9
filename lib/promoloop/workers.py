"""The process local Spark forks its Python workers from: what vectorised functions need is imported here once, not in every worker.

Spark ends a worker that was idle for a minute, and a loop of many small steps starts dozens.
"""

import gc
import sys
from importlib.machinery import PathFinder

# every task has Python forget what its places for modules hold (importlib.invalidate_caches), which reads the directory of an archive anew,
# once for each package in it: of Spark's own three a tenth of a second, more than most tasks take. pyspark is installed beside us, too
_folders = [place for place in sys.path if not place.endswith((".zip", ".jar"))]
if PathFinder.find_spec("pyspark", _folders) is not None:
    sys.path[:] = _folders
    sys.path_importer_cache.clear()  # has those that were looked into already

import numpy  # noqa: E402
import pandas  # noqa: E402
import pyarrow.compute  # noqa: E402
import pyspark.sql.functions  # noqa: E402
import pyspark.sql.pandas.serializers  # noqa: E402
from pyspark.daemon import manager  # noqa: E402

PRELOADED = (numpy, pandas, pyarrow.compute, pyspark.sql.functions, pyspark.sql.pandas.serializers)

if __name__ == "__main__":
    # a worker looks for garbage after every task, among all that was imported: longer than most tasks take, and what a worker looks at is
    # copied for it. What is frozen here is not looked at
    gc.collect()
    gc.freeze()
    manager()  # type: ignore[no-untyped-call]
