"""What plans promise and what they earn, by degrees of caution: a winner's curse would show as promises not kept.

    make demo && python bench/caution.py [--config ci] [--caution 0 0.5 1 2]

On the tables of a run of the embedded shop (its day `run.as_of`): plans made with `allocation.caution` standard errors taken off every
profit. promised: what the scores expect of the offers planned, by the mean; realised: what the shop knows they are worth;
realised_over_promised; offers. Nothing is written to the tables.
"""

import argparse
import tempfile

import figures
from pyspark.sql import functions as F

from promoloop import allocation, session, tables
from promoloop.settings import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="local")
    parser.add_argument("--caution", type=float, nargs="+", default=[0.0, 0.5, 1.0, 2.0])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = load([options.config], [])
        with session.opened(base) as spark:
            day = F.col("as_of_on") == F.lit(base.run.as_of)
            scores = tables.read(spark, base, tables.OFFER_SCORES).where(day).cache()
            truth = tables.read(spark, base, tables.TRUTH_OFFERS).where(day).select("user_id", "promotion_id", "expected_profit").cache()
            promotions = tables.read(spark, base, tables.PROMOTIONS)
            for caution in options.caution:
                chosen = load([options.config], [f"allocation.caution={caution}", f"paths.checkpoints={folder}/{caution}"])
                plan = allocation.plan(scores, promotions, None, chosen, {}).allocations.select("user_id", "promotion_id")
                promised = plan.join(scores, ["user_id", "promotion_id"]).agg(F.sum("expected_profit"), F.count("*")).first()
                realised = plan.join(truth, ["user_id", "promotion_id"]).agg(F.sum("expected_profit")).first()
                assert promised is not None
                assert realised is not None
                found = {"promised": promised[0] or 0.0, "realised": realised[0] or 0.0}
                for name, value in found.items():
                    figures.say("caution", name, value, "money", promised[1], caution=caution)
                kept = found["realised"] / (found["promised"] or 1.0)
                figures.say("caution", "realised_over_promised", kept, "times", promised[1], caution=caution)


if __name__ == "__main__":
    main()
