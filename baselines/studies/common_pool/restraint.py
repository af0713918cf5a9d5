"""Stage models of the study of common pools: how much agents hold back, by protocol and regrowth rate."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from baselines.analysis.intervals import mean_over_seeds, share_of
from baselines.analysis.tables import Row
from baselines.analysis.teams import Tags
from baselines.studies.common_pool.laboratory import Arrays, are_models_done, load_outcomes, make_models, tag
from baselines.studies.common_pool.options import PROTOCOL_NAMES, Options, Variant
from baselines.studies.side_by_side import Stage, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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


class Seeds(NamedTuple):
    """The models of one variant at one rate, S seeds of N agents.

    Attributes:
      variant: protocol and form of early endings.
      rate: of regrowth.
      restraint: `[S]` float32, mean over agents and episodes.
      is_collapsed: `[S]` bool, whether more than half of a model's episodes ended by depletion.
      outcomes: of the models, leading axes S and E; see `laboratory.episode_outcome`.
      tags: `[S, N]` bool each.
    """

    variant: Variant
    rate: float
    restraint: np.ndarray
    is_collapsed: np.ndarray
    outcomes: Arrays
    tags: Tags


def read_seeds(options: Options) -> list[Seeds]:
    """Every variant at every rate."""
    found = []
    for variant in options.variants:
        outcomes = load_outcomes(options, variant)
        tags = tag(options, outcomes)
        restraint = outcomes["restraint"].mean((1, 2))
        is_collapsed = outcomes["is_depleted"].mean(1) > 0.5
        for rate in options.rates:
            chosen = np.array([model.rate == rate for model in options.models])
            parts = {name: values[chosen] for name, values in outcomes.items()}
            here = Tags(*(part[chosen] for part in tags))
            found.append(Seeds(variant, rate, restraint[chosen], is_collapsed[chosen], parts, here))
    return found


def sustainable_restraint(options: Options, rate: float) -> float:
    """The least mean restraint with which the stock lasts for ever: 1 - rate / take_fraction, at least 0."""
    return max(0.0, 1 - rate / options.env().default_params.take_fraction)


def published_restraint(protocol: str, rate: float) -> float:
    """The number of the published heat map; NaN where it has none."""
    return dict(zip(PUBLISHED_RATES, PUBLISHED[protocol], strict=True)).get(rate, float("nan"))


def model_rows(options: Options, seeds: list[Seeds]) -> list[Row]:
    """One row for each model."""
    return [
        here.variant._asdict()
        | {"rate": here.rate, "seed": options.first_seed + i, "restraint": float(here.restraint[i])}
        | {f"restraint_{agent}": float(x) for agent, x in enumerate(here.outcomes["restraint"][i].mean(0))}
        | {f"tag_{agent}": name for agent, name in enumerate(_tag_names(here.tags, i))}
        | {"depleted_episodes": float(here.outcomes["is_depleted"][i].mean())}
        | {"is_collapsed": bool(here.is_collapsed[i])}
        | {name: float(here.outcomes[name][i].mean()) for name in SOCIAL}
        for here in seeds
        for i in range(options.seeds)
    ]


def _tag_names(tags: Tags, i: int) -> list[str]:
    pairs = zip(tags.cooperators[i], tags.defectors[i], strict=True)
    return ["cooperator" if good else "defector" if bad else "neither" for good, bad in pairs]


def rate_rows(options: Options, seeds: list[Seeds]) -> list[Row]:
    """One row for each variant and rate: means over seeds, the share that collapsed, and the size of the classes."""
    return [
        here.variant._asdict()
        | {
            "rate": here.rate,
            "seeds": len(here.restraint),
            "restraint": mean_over_seeds(here.restraint),
            "sustainable": sustainable_restraint(options, here.rate),
            "published": published_restraint(here.variant.protocol, here.rate),
            "collapsed": share_of(here.is_collapsed),
        }
        | {name: mean_over_seeds(here.outcomes[name].mean(1)) for name in SOCIAL}
        | {"cooperators": int(here.tags.cooperators.sum()), "defectors": int(here.tags.defectors.sum())}
        for here in seeds
    ]


# Pictures


def heat_map(options: Options, seeds: list[Seeds]) -> "Figure":
    """Mean restraint by variant and rate next to the published numbers; the last row is the least that lasts."""
    from matplotlib.figure import Figure

    names = [options.name_of(here.variant) for here in seeds[:: len(options.rates)]]
    limit = [sustainable_restraint(options, rate) for rate in options.rates]
    ours = np.reshape([here.restraint.mean() for here in seeds], (len(names), -1))
    theirs = np.reshape([published_restraint(here.variant.protocol, here.rate) for here in seeds], ours.shape)
    size = (3 + 1.3 * len(options.rates), 1.6 + 0.4 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, values, title in ((left, ours, "ours"), (right, theirs, "published, reward sharing 0.1")):
        _draw_cells(axes, np.vstack([values, limit]), title)
        axes.set_xticks(range(len(options.rates)), [str(rate) for rate in options.rates], rotation=45)
        axes.set_xlabel("regrowth rate")
    left.set_yticks(range(len(names) + 1), [*names, "1 - rate / take"])
    figure.suptitle(f"mean restraint, reward sharing {options.reward_sharing:g}, {options.seeds} seeds")
    return figure


def _draw_cells(axes: "Axes", values: np.ndarray, title: str) -> None:
    axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "" if np.isnan(value) else f"{value:.2f}"
        color = "white" if value < 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize="small")
    axes.axhline(len(values) - 1.5, color="white", linewidth=3)
    axes.set_title(title, fontsize="medium")


def restraint_of_seeds(options: Options, seeds: list[Seeds]) -> "Figure":
    """Mean restraint of every seed, a panel for each rate: open where it collapsed, with the share of those above."""
    from matplotlib.figure import Figure

    num_rates = len(options.rates)
    names = [options.name_of(here.variant) for here in seeds[::num_rates]]
    figure = Figure(figsize=(max(6.0, 1.5 + 0.35 * len(names) * num_rates), 4.5), layout="constrained")
    panels = figure.subplots(1, num_rates, sharey=True, squeeze=False)[0]
    for i, (axes, rate) in enumerate(zip(panels, options.rates, strict=True)):
        for column, here in enumerate(seeds[i::num_rates]):
            _draw_seeds(axes, column, here)
        axes.axhline(sustainable_restraint(options, rate), color="black", linestyle=":", linewidth=1)
        axes.set_title(f"rate {rate}", fontsize="medium", pad=18)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.set_ylim(-0.04, 1.04)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("mean restraint of a seed")
    title = "open: collapsed, with their share above; dotted: the least restraint that lasts"
    figure.suptitle(title, fontsize="medium")
    return figure


def _draw_seeds(axes: "Axes", column: int, here: Seeds) -> None:
    offsets = np.linspace(-0.25, 0.25, len(here.restraint)) if len(here.restraint) > 1 else np.zeros(1)
    colors = np.where(here.is_collapsed, "white", "tab:blue")
    axes.scatter(column + offsets, here.restraint, s=18, c=colors, edgecolors="tab:blue", zorder=3, clip_on=False)
    share = f"{here.is_collapsed.mean():.0%}"
    axes.annotate(share, (column, 1), (0, 4), ("data", "axes fraction"), "offset points", ha="center", fontsize=7)


def slowest_first(options: Options) -> list[Variant]:
    """The variants, those with the slowest protocols first."""
    return sorted(options.variants, key=lambda variant: -PROTOCOL_NAMES.index(variant.protocol))


def _without_classes(rows: list[Row]) -> list[Row]:
    """The rows without the columns that a page has no room for."""
    left_out = ("seeds", "length", "cooperators", "defectors")
    return [{name: value for name, value in row.items() if name not in left_out} for row in rows]


MODELS = Stage(
    name="models",
    pieces=slowest_first,
    is_done=are_models_done,
    work=make_models,
    num_phases=lambda options, variant: len(options.models),
    find=read_seeds,
    tables={
        "models": Table(model_rows),
        "restraint": Table(
            rate_rows,
            "Restraint is the share of steps in which agents wait, mean over agents and episodes, with an interval "
            "over seeds. Sustainable: the least restraint with which the stock lasts (1 - rate / take). Published: the "
            "number of the paper, at reward sharing 0.1. Collapsed: the share of seeds of which more than half of the "
            "episodes end by depletion, with Wilson's interval. Efficiency is the reward of all agents per step, "
            "sustainability the mean time of rewards.",
            _without_classes,
        ),
    },
    figures=lambda options, seeds: {
        "heat_map": heat_map(options, seeds),
        "restraint_of_seeds": restraint_of_seeds(options, seeds),
    },
)
