"""The process local Spark forks its Python workers from: what vectorised functions need is imported here once, not in every worker.

Spark ends a worker that was idle for a minute, and a loop of many small steps starts dozens.
"""

import numpy
import pandas
import pyarrow.compute
import pyspark.sql.functions
import pyspark.sql.pandas.serializers
from pyspark.daemon import manager

PRELOADED = (numpy, pandas, pyarrow.compute, pyspark.sql.functions, pyspark.sql.pandas.serializers)

if __name__ == "__main__":
    manager()  # type: ignore[no-untyped-call]
