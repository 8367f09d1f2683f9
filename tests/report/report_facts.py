"""Facts of a plausible run, for tests of the page: states only what the page shows."""

from dataclasses import replace

from promoloop.report.facts import Batch, Certificate, Effect, Facts, Issued, Promotion, Recommended, Resource, Run, Share

CARD = {
    "baseline": "freshness of the last visit",
    "importances": [{"feature": "days_since_purchase", "weight": -0.9}, {"feature": "count_views_7d", "weight": 0.4}],
    "calibration": [
        {"predicted": 0.05, "observed": 0.04, "rows": 90},
        {"predicted": 0.31, "observed": 0.35, "rows": 20},
        {"predicted": 0.93, "observed": 0.0, "rows": 2},
    ],
}
SEGMENTS = ("new", "loyal", "bargain_hunter", "lapsed")
PROMOTIONS = {
    "P01": Promotion("P01", "5 off from 40", "spend_threshold"),
    "P02": Promotion("P02", "20 % off dairy", "discount"),
    "P03": Promotion("P03", "Free tote bag from 60", "gift"),
    "P04": Promotion("P04", "Flash sale: coffee −35 %", "flash_sale"),
}


def effect(scope: str, value: float, half: float, method: str = "doubly_robust", run_id: str = "plan-2026-03-02", **more: object) -> Effect:
    base = Effect(run_id, "incremental_profit", scope, method, value, value - half, value + half, 900, 160, True, "")
    return replace(base, **more)  # type: ignore[arg-type]


def run(run_id: str = "plan-2026-03-02", scale: float = 1.0) -> Run:
    issued = [
        Issued(p, "treatment", int(users * scale), True, value * scale, cost * scale, redeemed, cost * 0.9)
        for p, users, value, cost, redeemed in (
            ("P01", 1240, 2210.0, 900.0, 210),
            ("P02", 880, 1630.5, 410.0, 160),
            ("P03", 300, 720.0, 450.0, 80),
            ("P04", 410, 515.2, 240.0, 95),
        )
    ]  # fmt: skip
    issued += [Issued("P01", "control", 210, False, 0.0, 0.0, 0, 0.0), Issued(None, "explore", 95, False, 0.0, 0.0, 0, 0.0)]
    shares = [
        Share(p, segment, None if (i + j) % 5 == 4 else 40 * (i + 1) + 90 * j)
        for i, p in enumerate(PROMOTIONS)
        for j, segment in enumerate(SEGMENTS)
    ]
    resources = (
        Resource("budget", 2000.0, 1999.2, 1.84, "one more 1,000 of budget earns 1,840", "cost"),
        Resource("budget:P01", 1500.0, 900.0, 0.0, "", "cost"),
        Resource("inventory:P03", 300.0, 300.0, 3.2, "P03 runs out: each further unit is worth 3.20", "count"),
        Resource("budget:P02", 700.0, 0.0, 0.0, "", "cost"),
        Resource("inventory:P04", 800.0, 410.0, 0.0, "", "count"),
    )
    effects = (
        effect("all", 4200 * scale, 2400, run_id=run_id),
        effect("all", 3900 * scale, 3300, "difference", run_id=run_id),
        effect("promotion:P01", 2900, 1500, run_id=run_id),
        effect("promotion:P02", 1500, 1800, run_id=run_id),
        effect("promotion:P03", 400, 900, run_id=run_id),
        effect("promotion:P04", -900, 600, run_id=run_id),
        effect("form:gift", 400, 900, run_id=run_id),
        effect("segment:loyal", 1100, 800, run_id=run_id),
        effect("all", 0.11, 0.01, "observed", metric="redemption_rate", run_id=run_id, is_causal=False),
        effect("promotion:P01", 2210, 0, "expected", metric="expected_profit", run_id=run_id, is_causal=False),
        effect("all", 4000 * scale, 0, "truth", metric="true_incremental_profit", run_id=run_id, is_causal=False),
        effect("all", 1.8, 0.9, metric="roi", run_id=run_id),
        effect("top:20", 3.1, 1.1, metric="incremental_profit_per_user", run_id=run_id),
        effect("all", 1.4, 0.8, metric="incremental_profit_per_user", run_id=run_id),
    )
    return Run(run_id, Certificate(5075.7, 5075.9, 4e-5, 4, 0.3), resources, tuple(issued), tuple(shares), effects)


def facts(*runs: Run) -> Facts:
    return Facts(
        source="shop",
        total=Batch("all", 1012345, 968210, 31234, 12901),
        batches=(Batch("2026-01-01_2026-03-02", 1012345, 968210, 31234, 12901),),
        reasons=(("price_not_positive", 9120), ("unknown_item", 8100), ("user_missing", 7204), ("occurred_in_future", 310)),
        promotions=PROMOTIONS,
        runs=runs or (run(),),
        past=(
            effect("all", 900, 700, "difference", "campaign-2026-01"),
            effect("all", 3, 2, "observational", "campaign-8", metric="profit_change_gap", is_causal=False),
        ),
        segments=(("loyal", 4100), ("new", 3000)),
        recommended=(Recommended("loyal", "dairy", 640), Recommended("loyal", "coffee", 210), Recommended("new", "snacks", 77)),
        cards=(
            {
                "name": "preferred_brand",
                "version": "1",
                "as_of": "2026-03-02",
                "figures": {"accuracy": 0.412, "log_loss": 1.73},
                "params": {},
            },
            {"name": "buy_probability", "version": "3", "as_of": "2026-03-02", "figures": {"holdout_auc": 0.81}, **CARD},
        ),
        steps=(("simulate_shop", 31.2), ("ingest_events", 12.9), ("clean_events", 25.4), ("evaluate_promotions", 4.0)),
        violations={"over_capacity": 0, "too_many": 0},
    )
