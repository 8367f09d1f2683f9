"""Other ways to solve the same instance, each made a feasible integer plan the same way, so that objectives compare.

A fractional or overspending answer becomes a plan by one rule: users in order of their margin keep their largest share's promotion
where everything still fits, then those left out take the best that fits.
"""

import multiprocessing as mp
import resource
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

import allocation_instance as instance
import numpy as np
import scipy.sparse as sp

from promoloop.allocation import Effort
from promoloop.allocation import genetic as breeding
from promoloop.allocation.blocks import option_of
from promoloop.allocation.pricing import Block, choose
from promoloop.allocation.problem import Problem
from promoloop.allocation.scan import LocalScan, stack

Plan = np.ndarray
_PARTS = 1000  # pieces that a plan which does not fit can be taken back by


def whole(problem: Problem, users: int, promotions: int) -> Block:
    """The instance in one piece, doubles."""
    kind = np.dtype(np.float64)
    if users * promotions > 5_000_000:
        kind = np.dtype(np.float32)
    return stack([instance.block(number, size, promotions, kind) for number, size in enumerate(instance.sizes(users))])


def limits(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Total budget, budgets and stocks by promotion (infinite where there is none)."""
    count = len(problem.promotions)
    budgets, stocks, total = np.full(count, np.inf), np.full(count, np.inf), np.inf
    for limit in problem.resources:
        kind, _, name = limit.name.partition(":")
        if not name:
            total = limit.capacity
        elif kind == "budget":
            budgets[problem.promotions.index(name)] = limit.capacity
        else:
            stocks[problem.promotions.index(name)] = limit.capacity
    return np.array(total), budgets, stocks


def fill(block: Block, problem: Problem, order: np.ndarray, plan: Plan | None = None) -> Plan:
    """Take (user, promotion) pairs in `order` (flat indices p * users + u) wherever they fit."""
    total, budgets, stocks = limits(problem)
    left, budgets, stocks = float(total), budgets.tolist(), stocks.tolist()
    plan = np.full(block.users, -1) if plan is None else plan
    flat_cost = block.cost.ravel()
    for p in range(len(problem.promotions)) if (plan >= 0).any() else []:
        mine = np.nonzero(plan == p)[0]
        spent = float(block.cost[p, mine].sum(dtype=np.float64))
        left, budgets[p], stocks[p] = left - spent, budgets[p] - spent, stocks[p] - len(mine)
    for start in range(0, len(order), 200_000):
        piece = order[start : start + 200_000]
        costs = flat_cost[piece].astype(float).tolist()
        for index, cost in zip(piece.tolist(), costs, strict=True):
            p, u = divmod(index, block.users)
            if plan[u] < 0 and stocks[p] >= 1 and cost <= left and cost <= budgets[p]:
                plan[u] = p
                left, budgets[p], stocks[p] = left - cost, budgets[p] - cost, stocks[p] - 1
    return plan


def worth(block: Block, plan: Plan) -> float:
    users = np.nonzero(plan >= 0)[0]
    return float(block.value[plan[users], users].sum(dtype=np.float64))


def broken(block: Block, problem: Problem, plan: Plan) -> int:
    total, budgets, stocks = limits(problem)
    users = np.nonzero(plan >= 0)[0]
    cost = np.bincount(plan[users], block.cost[plan[users], users].astype(float), len(budgets))
    count = np.bincount(plan[users], minlength=len(budgets))
    return int((cost > budgets * (1 + 1e-12)).sum() + (count > stocks).sum() + (cost.sum() > total * (1 + 1e-12)))


def rounded(block: Block, problem: Problem, x: np.ndarray) -> Plan:
    """The largest shares first, then whatever fits by value."""
    order = np.argsort(-x.ravel(), kind="stable")
    plan = fill(block, problem, order[: int((x > 0.01).sum())])
    rest = np.argsort(-(block.value / np.maximum(block.cost, 1e-9)).ravel(), kind="stable")
    return fill(block, problem, rest[plan[rest % block.users] < 0], plan)


def greedy(block: Block, problem: Problem, seconds: float) -> tuple[Plan, float]:
    """By value over cost."""
    return fill(block, problem, np.argsort(-(block.value / np.maximum(block.cost, 1e-9)).ravel(), kind="stable")), np.inf


def subgradient(block: Block, problem: Problem, seconds: float) -> tuple[Plan, float]:
    """Lagrangian relaxation by Polyak's step towards the greedy plan's value, 300 steps; the plan by reduced value."""
    target = worth(block, greedy(block, problem, seconds)[0])
    prices, best, kept, length, since = np.zeros(len(problem.right)), np.inf, None, 1.5, 0
    end = time.perf_counter() + seconds
    for _ in range(300):
        choices = choose(block, problem, prices)
        users = np.nonzero(choices.option[0] >= 0)[0]
        option = choices.option[0, users]
        cost = np.bincount(option, block.cost[option, users].astype(float), len(problem.promotions)).astype(float)
        count = np.bincount(option, minlength=len(problem.promotions)).astype(float)
        slope = problem.right - problem.use(cost[None], count[None])
        bound = float(choices.surplus.sum(dtype=np.float64) + prices @ problem.right)
        since += 1
        if bound < best:
            best, kept, since = bound, prices, 0
        if since > 10:
            length, since, prices = length / 2, 0, kept
            continue
        scaled = slope / np.maximum(problem.right, 1e-9) ** 2
        prices = np.maximum(0, prices - length * (bound - target) / max(float(slope @ scaled), 1e-12) * scaled)
        if time.perf_counter() > end:
            break
    per_cost, per_count = problem.unit_prices(kept)
    reduced = block.value - per_cost[0][:, None] * block.cost - per_count[0][:, None]
    order = np.argsort(-reduced.ravel(), kind="stable")
    return fill(block, problem, order[: int((reduced > -0.05 * reduced.max()).sum())]), best


def lp_matrix(block: Block, problem: Problem) -> sp.csr_matrix:
    """Resources, then users; columns promotion by promotion."""
    promotions, users = block.value.shape
    key = np.repeat(np.arange(promotions), users)
    cost = sp.diags_array(block.cost.ravel().astype(float))
    use = (cost @ sp.csr_matrix(problem.cost_form.T)[key] + sp.csr_matrix(problem.count_form.T)[key]).T
    once = sp.csr_matrix((np.ones(promotions * users), (np.tile(np.arange(users), promotions), np.arange(promotions * users))))
    return sp.csr_matrix(sp.vstack([use, once]))


def pdlp(block: Block, problem: Problem, seconds: float) -> tuple[Plan, float]:
    """OR-Tools PDLP (relative 1e-4 and 1e-6), fractional, then rounded."""
    from ortools.pdlp import solve_log_pb2, solvers_pb2
    from ortools.pdlp.python import pdlp as engine

    lp = engine.QuadraticProgram()
    rows = lp_matrix(block, problem)
    lp.resize_and_initialize(rows.shape[1], rows.shape[0])
    lp.objective_vector = -block.value.ravel().astype(float)
    lp.constraint_matrix = sp.csc_matrix(rows)
    lp.constraint_lower_bounds = np.full(rows.shape[0], -np.inf)
    lp.constraint_upper_bounds = np.concatenate([problem.right, np.ones(block.users)])
    lp.variable_lower_bounds, lp.variable_upper_bounds = np.zeros(rows.shape[1]), np.full(rows.shape[1], np.inf)
    parameters = solvers_pb2.PrimalDualHybridGradientParams()
    criteria = parameters.termination_criteria
    criteria.simple_optimality_criteria.eps_optimal_relative = 1e-4
    criteria.time_sec_limit = seconds
    parameters.num_threads = 2
    result = engine.primal_dual_hybrid_gradient(lp, parameters)
    if result.solve_log.termination_reason != solve_log_pb2.TERMINATION_REASON_OPTIMAL:
        raise TimeoutError("not solved in time")
    y = np.maximum(-np.asarray(result.dual_solution)[: len(problem.right)], 0)
    choices = choose(block, problem, y)
    bound = float(choices.surplus.sum(dtype=np.float64) + y @ problem.right)
    return rounded(block, problem, np.asarray(result.primal_solution).reshape(block.value.shape)), bound


def monolith(solver: str) -> Callable[[Block, Problem, float], tuple[Plan, float]]:
    """The whole programme in PuLP."""

    def run(block: Block, problem: Problem, seconds: float) -> tuple[Plan, float]:
        import pulp

        rows = lp_matrix(block, problem)
        programme = pulp.LpProblem("whole", pulp.LpMinimize)
        x = [programme.add_variable(f"x{j}", 0) for j in range(rows.shape[1])]
        programme += pulp.LpAffineExpression(list(zip(x, (-block.value.ravel()).tolist(), strict=True)))
        right = np.concatenate([problem.right, np.ones(block.users)])
        for i in range(rows.shape[0]):
            part = slice(rows.indptr[i], rows.indptr[i + 1])
            terms = [(x[j], a) for j, a in zip(rows.indices[part], rows.data[part].tolist(), strict=True)]
            programme += pulp.LpAffineExpression(terms) <= float(right[i])
        engine = pulp.HiGHS(msg=False, timeLimit=seconds) if solver == "highs" else pulp.PULP_CBC_CMD(msg=False, timeLimit=seconds)
        programme.solve(engine)
        if pulp.LpStatus[programme.status] != "Optimal":
            raise TimeoutError("not solved in time")
        share = np.array([v.value() or 0.0 for v in x]).reshape(block.value.shape)
        return rounded(block, problem, share), float((share * block.value).sum())

    return run


def genetic(block: Block, problem: Problem, seconds: float) -> tuple[Plan, float]:
    """The library's genetic allocator: prices bred on a sample, made whole by its rounding; its own bound."""
    solution = breeding.solve(LocalScan((block,), _PARTS), problem, Effort(), breeding.Evolution(seed=1))
    return option_of(block, problem, solution.decision, _PARTS, 0)[0], solution.certificate.bound


METHODS: dict[str, Callable[[Block, Problem, float], tuple[Plan, float]]] = {
    "greedy": greedy,
    "subgradient": subgradient,
    "pdlp": pdlp,
    "pulp_highs": monolith("highs"),
    "pulp_cbc": monolith("cbc"),
    "genetic": genetic,
}


def _alone(name: str, problem: Problem, users: int, promotions: int, seconds: float, queue: Any) -> None:
    block = whole(problem, users, promotions)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        plan, bound = METHODS[name](block, problem, seconds)
    except (TimeoutError, MemoryError) as error:
        queue.put({"method": name, "failed": str(error), "seconds": round(time.perf_counter() - start, 1)})
        return
    took = time.perf_counter() - start
    mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    value = worth(block, plan)
    queue.put(
        {"method": name, "objective": value, "violations": broken(block, problem, plan), "seconds": took, "mib": mib, "own_bound": bound}
    )


def _answer(queue: Any, process: Any, seconds: float) -> dict[str, Any] | None:
    """What the process puts into the queue; None where it ends without, or takes longer than `seconds`."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        is_over = not process.is_alive()
        try:
            return queue.get(timeout=1)
        except Empty:
            if is_over:
                return None
    return None


def run(say: Callable[..., None], problem: Problem, users: int, promotions: int, seconds: float, own: tuple[float, float, float]) -> None:
    """One row a method, each in a process of its own; gaps are to the best bound of all (ours)."""
    value, bound, took = own
    say("contest", "ours", objective=value, gap=(bound - value) / bound, seconds=round(took, 2))
    context = mp.get_context("spawn")
    for name in METHODS:
        if name.startswith("pulp") and users * promotions > 1_000_000:
            say("contest", name, failed="left out: more than a million variables")
            continue
        queue = context.Queue()
        process = context.Process(target=_alone, args=(name, problem, users, promotions, seconds, queue))
        process.start()
        row = _answer(queue, process, seconds * 1.5 + 60) or {"method": name, "failed": "broke, or nothing in time"}
        process.kill()
        process.join()
        if "objective" in row:
            row["gap"] = (bound - row["objective"]) / bound
        say("contest", row.pop("method"), **row)
        if name == "pdlp" and "objective" in row:
            say("speedup_over_pdlp", round(row["seconds"] / took, 1), is_ours_better=value >= row["objective"])
