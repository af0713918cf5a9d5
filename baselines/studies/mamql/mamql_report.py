"""The results of the study of MAMQL as text: every table in words that say what stands in it."""

from collections.abc import Callable

from baselines.analysis.tables import Row, markdown_table, spread
from baselines.studies.mamql import mamql_findings
from baselines.studies.mamql.options import Options, Stage

Tables = dict[str, list[Row]]

PLAY = ("return", "success", "length", "env_steps", "train_seconds")
PLAY_ELSEWHERE = ("return", "return_greedy", "terminated", "length", "env_steps", "train_seconds")
BEHAVIOUR = ("cross_entropy", "disagreement", "joint_disagreement")
SCORES = ("pearson_alone", "pearson_other_alone", "pearson", "pearson_running", "pearson_other", "pearson_episodes")
ERRORS = (
    *("mse", "mse_affine", "mse_zero", "mse_mean", "mse_affine_running", "mse_zero_running", "mse_mean_running"),
    "mse_affine_other",
)

FIT_SCORES = (*SCORES[:4], "explained")

START, END = "<!-- results: start -->", "<!-- results: end -->"
"""Marks of the page between which the results stand."""


def make_tables(rows: list[Row]) -> Tables:
    """All tables, by the name of their file; stages of which nothing is done have none."""
    tables: Tables = {"runs": mamql_findings.run_rows(rows), "weights": mamql_findings.weight_rows(rows)}
    tables["gaps"] = mamql_findings.gap_rows(rows)
    for stage, makers in STAGE_TABLES.items():
        some = mamql_findings.of_stage(rows, stage)
        if some:
            tables |= {name: make(some) for name, make in makers.items()}
    return {name: rows for name, rows in tables.items() if rows}


def _all_numbers(rows: list[Row]) -> list[Row]:
    """Means over seeds of all numbers that rows of a stage have."""
    names = dict.fromkeys(name for row in rows for name in row["numbers"] if not name.endswith("_error"))
    return mamql_findings.summary_rows(rows, tuple(names))


Make = Callable[[list[Row]], list[Row]]


def _numbers(*names: str) -> Make:
    """Means over seeds of these numbers."""
    return lambda rows: mamql_findings.summary_rows(rows, names)


def _scores(*names: str) -> Make:
    """Means over agents and seeds of these scores of rewards."""
    return lambda rows: mamql_findings.summary_rows(rows, names, "agents")


STAGE_TABLES: dict[Stage, dict[str, Make]] = {
    "table": {
        "returns": mamql_findings.return_rows,
        "gains": mamql_findings.difference_rows,
        "play": lambda rows: mamql_findings.play_rows(rows, PLAY),
        "behaviour": _numbers(*BEHAVIOUR),
        "recovery": _scores(*(f"raw_{name}" for name in SCORES), "fitted_explained"),
        "fitted": lambda rows: mamql_findings.fitted_rows(rows, SCORES),
        "errors": _scores(*(f"{kind}_{name}" for kind in ("raw", "fitted") for name in ERRORS)),
        "gems_weights": mamql_findings.team_weight_rows,
    },
    "retrain": {
        "retrain": _all_numbers,
        "retrain_weights": mamql_findings.regression_rows,
        "retrain_scores": _scores(*(f"{fit}_{name}" for fit in ("fitted", "successor") for name in FIT_SCORES)),
    },
    "games": {
        "games": mamql_findings.return_rows,
        "games_gains": mamql_findings.difference_rows,
        "games_greedy_gains": lambda rows: mamql_findings.difference_rows(rows, "return_greedy"),
        "games_play": lambda rows: mamql_findings.play_rows(rows, PLAY_ELSEWHERE),
    },
    "dilemmas": {"dilemmas": mamql_findings.team_weight_rows},
}
"""What is made of the rows of a stage, by the name of its file."""

TEXTS: dict[str, str] = {
    "budgets": "What each method may spend in a run, from its settings: gradient steps of critics, clones or "
    "discriminators and their learning rate, which runs in a straight line; cloning steps before them; policy steps of "
    "IPPO; steps of the game played in training. Update-to-data ratio: gradient steps, and transitions that they read, "
    "per step of the game. Explored: steps of the game that the regression of rewards plays, for every method, also "
    "for those that learn offline; the successors of stage retrain play more.",
    "returns": "Mean return per player, by method and number of demonstrations; ± is half of a 95 % "
    "interval over seeds.",
    "gains": "What MAMQL returns more than each other method, paired by seed. It is better or worse where the interval "
    "leaves out 0, each for itself.",
    "play": "How agents play: success is the share of episodes that the rule of the game ends; env steps are those of "
    "training. Reached: of how many seeds updates with at least 100 episodes had on average 90 % of the expert's "
    "return, and the median of env steps until then, none if half of the seeds or more never had it.",
    "behaviour": "On expert states that nobody learnt from: cross-entropy in nats, how often the most likely action is "
    "another than the expert's, and how often that is so for any agent.",
    "gems_weights": "Weights of events by the constrained regression, with intervals over seeds; the true ones are 1 "
    "for own gems, 6 for shared ones and 0 for others' gems.",
    "fitted": "Correlations of the weighted events of the constrained regression with the true reward on steps that "
    "nobody learnt from, means over agents, and under the methods those of weights that nobody recovered. Alone: over "
    "steps in which not both are paid; other: with the other agent's reward; running: without steps that end the game. "
    "What is no better than random weights shows no recovery.",
    "recovery": "The same correlations of raw rewards Q - gamma V. Explained: the share of their variance that events "
    "and shaping explain.",
    "errors": "Mean squared errors of raw and fitted rewards, as they are and after the best scale and shift, beside "
    "those of predicting 0 and the mean; running: without steps that end the game; other: of the other agent's reward.",
    "retrain": "Return in the game itself of agents that IPPO trained on recovered rewards: raw, weights of events by "
    "the constrained regression (fitted) and by successors; and on the true ones.",
    "retrain_weights": "Weights of events by both regressions, each agent's relative to its largest, since they have "
    "no scale; the true ones are 0.167 for own gems, 1 for shared ones and 0 for others' gems.",
    "retrain_scores": "Correlations of both weighted sums with the true reward, as above. Explained: of the variance "
    "of raw rewards, with shaping (fitted), and of that of expected sums of them by action, without (successor).",
    "games": "Mean return per agent on the other games, at the published numbers of demonstrations. The published "
    "numbers of Intersection are of another game with another reward and do not carry over: they are no measure of "
    "ours.",
    "games_gains": "What MAMQL returns more there than each other method, paired by seed.",
    "games_greedy_gains": "The same if all take their best action instead, as the published agents do on these games.",
    "games_play": "How agents play there. Terminated: the share of episodes that the game ended before or with the "
    "clock, on Intersection by arrivals or by a crash, so that it is no success.",
    "dilemmas": "Weights of events by team, means over agents; relative: to the largest of the team.",
    "gaps": "Demonstrations that do not let rewards be told, and why.",
}
"""What stands in a table, by its name; tables without a text are files alone."""


_GAINS = (("game", "expert", "size"), "than", "gain")
SPREAD: dict[str, tuple[tuple[str, ...], str, str]] = {
    "gains": _GAINS,
    "games_gains": _GAINS,
    "games_greedy_gains": _GAINS,
    "gems_weights": (("team", "size", "event"), "method", "weight"),
    "retrain_weights": (("team", "size", "regression", "method"), "event", "weight"),
}
"""Tables that stand wide on the page, see `spread`; their files are long, with more columns."""


def write_results(options: Options, tables: Tables, pictures: dict[str, str], about: dict[str, str]) -> str:
    """The results in Markdown.

    Args:
      options: the study.
      tables: of `make_tables`.
      pictures: where each is, by name.
      about: the machine and versions.
    """
    machine = ", ".join(f"{name} {value}" for name, value in about.items())
    parts = [f"{options.seeds} seeds, {options.episodes:,} episodes each. {machine}\n"]
    parts += [f"![{name.replace('_', ' ')}]({path})\n" for name, path in pictures.items()]
    for name, text in TEXTS.items():
        if name in tables:
            shown = spread(tables[name], *SPREAD[name]) if name in SPREAD else tables[name]
            parts.append(f"### {name.replace('_', ' ').capitalize()}\n\n{text}\n\n{markdown_table(shown)}")
    return "\n".join(parts)


def fill_page(page: str, results: str) -> str:
    """The page with the results between its marks.

    Raises:
      ValueError: the page has not the two marks in their order.
    """
    head, start, rest = page.partition(START)
    _, end, tail = rest.partition(END)
    if not (start and end):
        raise ValueError(f"the page has no place for results: it must have the lines {START} and {END}")
    return f"{head}{START}\n\n{results}\n{END}{tail}"
