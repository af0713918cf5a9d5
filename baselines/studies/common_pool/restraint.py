"""Stage models of the study of common pools: how much agents hold back, by protocol and regrowth rate."""

from typing import TYPE_CHECKING

import numpy as np

from baselines.analysis.figures import draw_dots, heat_maps, make_panels
from baselines.analysis.intervals import share_of
from baselines.analysis.tables import Row, estimate, group_by
from baselines.studies.common_pool.laboratory import are_models_done, load_outcomes, make_models, tag
from baselines.studies.common_pool.options import Options
from baselines.studies.side_by_side import Stage, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PUBLISHED_RATES = (0.1, 0.088, 0.077, 0.065, 0.053, 0.042, 0.03)
PUBLISHED = {
    "ia2c": (0.20, 0.20, 0.24, 0.39, 0.47, 0.54, 0.34),
    "na2c": (0.16, 0.17, 0.29, 0.37, 0.47, 0.53, 0.33),
    "fprint": (0.17, 0.15, 0.25, 0.37, 0.46, 0.52, 0.33),
    "consenet": (0.17, 0.17, 0.19, 0.19, 0.30, 0.40, 0.49),
    "dial": (0.17, 0.18, 0.19, 0.18, 0.28, 0.36, 0.48),
    "commnet": (0.18, 0.17, 0.17, 0.19, 0.28, 0.37, 0.49),
    "neurcomm": (0.16, 0.20, 0.17, 0.18, 0.28, 0.37, 0.48),
}
"""Mean restraint by protocol, at the rates above and reward sharing 0.1: the heat map of Pretorius et al. 2020 as
instadeepai/EGTA-NMARL @ 544b2e0 prints it (README, figures/restraint_heat_map.png)."""

SOCIAL = ("length", "efficiency", "equality", "sustainability")
"""Means over episodes that the tables contain together with restraint."""

LEFT_OUT = ("seeds", "length", "cooperators", "defectors")
"""Columns that the page has no room for."""


def read_models(options: Options) -> list[Row]:
    """One row for each model; it has collapsed if more than half of its episodes ended by depletion."""
    rows = []
    for protocol in options.protocols:
        outcomes = load_outcomes(options, protocol)
        tags = tag(options, outcomes)
        names = np.select([tags.cooperators, tags.defectors], ["cooperator", "defector"], "neither")  # [M, N]
        means = {name: outcomes[name].mean(1).tolist() for name in ("restraint", "is_depleted", *SOCIAL)}
        restraint = outcomes["restraint"].mean((1, 2)).tolist()
        rows += [
            {"protocol": protocol, "rate": model.rate, "seed": model.seed, "restraint": restraint[i]}
            | {f"restraint_{agent}": value for agent, value in enumerate(means["restraint"][i])}
            | {f"tag_{agent}": str(name) for agent, name in enumerate(names[i])}
            | {"depleted_episodes": means["is_depleted"][i], "is_collapsed": means["is_depleted"][i] > 0.5}
            | {name: means[name][i] for name in SOCIAL}
            for i, model in enumerate(options.models)
        ]
    return rows


def by_rate(rows: list[Row]) -> dict[tuple[str, float], list[Row]]:
    """The models, seed by seed, by protocol and rate."""
    return group_by(rows, ("protocol", "rate"))


def num_of(rows: list[Row], tag: str) -> int:
    """The number of agents of some models with a tag."""
    return sum(value == tag for row in rows for column, value in row.items() if column.startswith("tag_"))


def sustainable_restraint(options: Options, rate: float) -> float:
    """The least mean restraint with which the stock lasts for ever: 1 - rate / take_fraction, at least 0."""
    return max(0.0, 1 - rate / options.env().default_params.take_fraction)


def rate_rows(options: Options, rows: list[Row]) -> list[Row]:
    """One row for each protocol and rate: means over seeds, the share that collapsed, and the size of the classes."""
    return [
        {"protocol": protocol, "rate": rate, "seeds": len(some)}
        | {"restraint": estimate(some, "restraint"), "sustainable": sustainable_restraint(options, rate)}
        | {"published": dict(zip(PUBLISHED_RATES, PUBLISHED[protocol], strict=True)).get(rate, float("nan"))}
        | {"collapsed": share_of(np.array([row["is_collapsed"] for row in some]))}
        | {name: estimate(some, name) for name in SOCIAL}
        | {f"{tag}s": num_of(some, tag) for tag in ("cooperator", "defector")}
        for (protocol, rate), some in by_rate(rows).items()
    ]


def heat_map(options: Options, rows: list[Row]) -> "Figure":
    """Mean restraint by protocol and rate next to the published numbers; the last row is the least that lasts."""
    names, found = options.protocols, rate_rows(options, rows)
    limit = [sustainable_restraint(options, rate) for rate in options.rates]
    ours = np.reshape([row["restraint"].mean for row in found], (len(names), -1))
    theirs = np.reshape([row["published"] for row in found], ours.shape)
    tables = {"ours": [*ours, limit], "published, reward sharing 0.1": [*theirs, limit]}
    figure = heat_maps(tables, [*names, "1 - rate / take"], [str(rate) for rate in options.rates])
    figure.supxlabel("regrowth rate", fontsize="medium")
    figure.suptitle(f"mean restraint, reward sharing {options.reward_sharing:g}, {options.seeds} seeds")
    return figure


def restraint_of_seeds(options: Options, rows: list[Row]) -> "Figure":
    """Mean restraint of every seed, a panel for each rate: open where it collapsed, with the share of those above."""
    names, num_rates = options.protocols, len(options.rates)
    width = max(6.0, 1.5 + 0.35 * len(names) * num_rates) / num_rates
    figure, panels = make_panels(num_rates, size=(width, 4.5), sharey=True)
    for axes, rate in zip(panels, options.rates, strict=True):
        groups = [some for (_, other), some in by_rate(rows).items() if other == rate]
        columns = [[row["restraint"] for row in some] for some in groups]
        are_open = [np.array([row["is_collapsed"] for row in some]) for some in groups]
        draw_dots(axes, list(zip(columns, are_open, strict=True)), names)
        axes.axhline(sustainable_restraint(options, rate), color="black", linestyle=":", linewidth=1)
        axes.set_title(f"rate {rate}", fontsize="medium", pad=18)
    panels[0].set_ylabel("mean restraint of a seed")
    title = "open: collapsed, with their share above; dotted: the least restraint that lasts"
    figure.suptitle(title, fontsize="medium")
    return figure


MODELS = Stage(
    name="models",
    pieces=lambda options: options.slowest_first,
    is_done=are_models_done,
    work=make_models,
    find=read_models,
    tables={
        "models": Table(lambda options, rows: rows),
        "restraint": Table(
            rate_rows,
            "Restraint is the share of steps in which agents wait, mean over agents and episodes, with an interval "
            "over seeds. Sustainable: the least restraint with which the stock lasts (1 - rate / take). Published: the "
            "number of the paper, at reward sharing 0.1. Collapsed: the share of seeds of which more than half of the "
            "episodes end by depletion, with Wilson's interval. Efficiency is the reward of all agents per step, "
            "sustainability the mean time of rewards.",
            lambda rows: [{name: row[name] for name in row if name not in LEFT_OUT} for row in rows],
        ),
    },
    figures=lambda options, rows: {
        "heat_map": heat_map(options, rows),
        "restraint_of_seeds": restraint_of_seeds(options, rows),
    },
)
