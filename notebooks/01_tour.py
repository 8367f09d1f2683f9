# Databricks notebook source
# MAGIC %md
# MAGIC # Once round the loop
# MAGIC
# MAGIC A small simulated shop goes from raw logs to evaluated promotions. Every cell calls a job's `run(spark, settings)`, the same
# MAGIC function that `promoloop run` and `spark-submit` call, and looks at what it wrote. Nothing is computed here.
# MAGIC
# MAGIC On Databricks `spark` is there already; elsewhere the first cell opens a local session. As a file: `python notebooks/01_tour.py`.

# COMMAND ----------

import matplotlib.pyplot as plt

from promoloop import home, session, tables
from promoloop.cli import jobs, loop
from promoloop.launch import Outcome
from promoloop.settings import load

overrides = globals().get("overrides", [])  # what a caller of this notebook sets, such as ["paths.tables=main.promoloop"]
here = home.root() / "build" / "tour"
places = [f"paths.{place}={here / place}" for place in ("tables", "vault", "landing", "checkpoints", "models")]
settings = load(["ci"], [*places, f"paths.out={here}", *overrides])
opened = session.opened(settings)
spark = opened.__enter__()


def run(job: str) -> Outcome:
    outcome = jobs.load(job)(spark, settings)
    print(f"{job}: {outcome}")
    return outcome


def read(table: tables.Table):
    return tables.read(spark, settings, table)


# COMMAND ----------

# MAGIC %md
# MAGIC ## A. Collect
# MAGIC The shop exports its history as raw files, dirty on purpose. Ingestion takes each file once and pseudonymises users at the door.

# COMMAND ----------

run("simulate_shop")
run("ingest_events")
read(tables.RAW_EVENTS).select("event_type", "user_id", "item_id", "occurred_at", "price", "_rescued").show(5, truncate=18)

# COMMAND ----------

# MAGIC %md
# MAGIC ## B. Clean
# MAGIC Every record is accepted, rejected with all its reasons, or a repeat of an accepted one; the three add up to what was received.

# COMMAND ----------

run("clean_events")
read(tables.BATCHES).drop("reasons").show(truncate=False)
reasons = read(tables.BATCHES).selectExpr("explode(reasons) AS (reason, rows)").groupBy("reason").sum("rows").orderBy("sum(rows)", "reason")
rejected = reasons.toPandas()
figure, axes = plt.subplots(figsize=(8, 0.3 * len(rejected) + 1), layout="constrained")
axes.barh(rejected["reason"], rejected["sum(rows)"])
axes.set_title("Why records were rejected")
plt.show()

# COMMAND ----------

# MAGIC %md
# MAGIC ## C. Profile
# MAGIC Features know only what happened before the day planned for. Models say what a user is likely to do without an offer.

# COMMAND ----------

run("build_features")
run("train_profiles")
run("score_profiles")
read(tables.USER_PROFILES).groupBy("segment").count().orderBy("segment").show()

# COMMAND ----------

# MAGIC %md
# MAGIC ## D. Recommend

# COMMAND ----------

run("train_recommender")
run("recommend_items")
read(tables.ITEM_RECOMMENDATIONS).where("rank <= 3").orderBy("user_id", "rank").select("rank", "item_id", "score", "reason").show(6, False)

# COMMAND ----------

# MAGIC %md
# MAGIC ## E. Score and allocate
# MAGIC The value of an offer is what it changes, not what the user would have bought anyway. The plan breaks no limit; row `plan` of its
# MAGIC resources is the certificate: no plan can be worth more than `bound`.

# COMMAND ----------

run("score_offers")
run("allocate_promotions")
resources = read(tables.ALLOCATION_RESOURCES)
resources.where("resource = 'plan'").select("objective", "bound", "gap", "count_passes").show()
resources.where("resource <> 'plan'").select("resource", "capacity", "used", "shadow_price", "sentence").show(30, truncate=60)

# COMMAND ----------

# MAGIC %md
# MAGIC ## F. Issue
# MAGIC Some offers are withheld at random, some users get a random one: without both, nobody could say later what the offers changed.

# COMMAND ----------

run("issue_offers")
read(tables.OFFERS).groupBy("arm", "is_sent").count().orderBy("arm", "is_sent").show()

# COMMAND ----------

# MAGIC %md
# MAGIC ## G. Evaluate
# MAGIC The shop lives on for some days and its users react. The same steps take in the new log; the evaluation compares the arms.

# COMMAND ----------

for step in loop.plan(settings):
    if step.is_outcome:
        run(step.job)
profit = read(tables.EVALUATIONS).where(f"run_id = '{settings.run.run_id}' AND metric = 'incremental_profit' AND scope = 'all'")
measured = profit.orderBy("method").select("method", "value", "low", "high").toPandas()
figure, axes = plt.subplots(figsize=(8, 2), layout="constrained")
axes.errorbar(
    measured["value"], measured["method"], xerr=[measured["value"] - measured["low"], measured["high"] - measured["value"]], fmt="o"
)
axes.axvline(0, color="grey")
axes.set_title("Incremental profit of the plan, with 95 % intervals")
plt.show()

# COMMAND ----------

# MAGIC %md
# MAGIC That was one cycle. `promoloop report` makes the whole report; `promoloop run --cycles 2` goes round twice.

# COMMAND ----------

opened.__exit__(None, None, None)  # stops the session only if it was opened here
