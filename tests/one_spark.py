"""One Spark for several pytest processes: the first starts it, the workers of pytest-xdist join it, each with a session of its own.

Small jobs keep one thread of the driver busy and leave the other cores idle; two tests at once use them, in one Java that is warm for
both. Joining is what notebooks do: a gateway of one's own into the Java that runs already (`PYSPARK_GATEWAY_PORT`).
"""

import os
import sys

import pytest
from pyspark import SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from promoloop.session import remember_names

_PORT, _SECRET = "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"


def door(spark: SparkSession) -> dict[str, str]:
    """A new gateway into the Java of `spark`, for one process to join by."""
    server = spark.sparkContext._jvm.org.apache.spark.api.python.Py4JServer(spark.sparkContext._jsc.sc().conf())  # type: ignore[union-attr]
    server.start()
    return {_PORT: str(server.getListeningPort()), _SECRET: server.secret()}


def joined(by: dict[str, str]) -> SparkSession:
    """A session of its own in the Spark behind a door; never stop it, as others use the same Spark."""
    os.environ["PYSPARK_PYTHON"] = sys.executable  # as `promoloop.session` has it; the plan of a function names the python to run it with
    with pytest.MonkeyPatch.context() as patched:  # gone afterwards: what a test starts has a Spark of its own
        for name, value in by.items():
            patched.setenv(name, value)
        gateway = launch_gateway()
    java = gateway.jvm
    context = java.JavaSparkContext.fromSparkContext(java.org.apache.spark.SparkContext.getOrCreate())
    session = java.org.apache.spark.sql.classic.SparkSession.getDefaultSession().get().newSession()
    spark = SparkSession(SparkContext(gateway=gateway, jsc=context), session)
    remember_names(spark)
    return spark
