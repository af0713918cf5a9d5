"""The page that a study ends with: every table in words that say what stands in it."""

from collections.abc import Sequence

from baselines.analysis.dilemmas import list_equilibria
from baselines.analysis.tables import Row, markdown_table
from baselines.studies.common_pool import findings
from baselines.studies.common_pool.findings import Mixture, Seeds
from baselines.studies.common_pool.options import Options

Tables = dict[str, list[Row]]


def make_tables(options: Options, seeds: list[Seeds], mixtures: list[Mixture]) -> Tables:
    """All tables, by the name of their file; those of mixed teams are left out where none were mixed."""
    tables = {"models": findings.model_rows(options, seeds), "restraint": findings.rate_rows(options, seeds)}
    if not mixtures:
        return tables
    return tables | {
        "schelling": [row for mixture in mixtures for row in findings.schelling_rows(mixture)],
        "dilemmas": [findings.dilemma_row(mixture) for mixture in mixtures],
        "rest_points": [row for mixture in mixtures for row in findings.point_rows(mixture)],
        "two_agents": [row for mixture in mixtures for row in findings.two_agent_rows(mixture)],
        "gaps": findings.gap_rows(options, seeds, mixtures),
    }


def write_report(options: Options, tables: Tables, mixtures: Sequence[Mixture], about: dict[str, str]) -> str:
    """The page in Markdown.

    Args:
      options: the study.
      tables: of `make_tables`.
      mixtures: of every variant, or none.
      about: the machine and versions.
    """
    parts = [_head(options, about), _restraint(options, tables["restraint"])]
    if mixtures:
        parts += [_teams(options, tables, mixtures), _meta_game(tables)]
    return "\n".join(parts)


def _head(options: Options, about: dict[str, str]) -> str:
    config = options.config(options.variants[0])
    machine = ", ".join(f"{name} {value}" for name, value in about.items())
    return f"""# Common-pool study

{len(options.protocols)} protocols at {len(options.rates)} rates, {options.seeds} seeds, {config.total_env_steps:,} env
steps a model, reward sharing {options.reward_sharing:g}, graph {config.graph}; rollouts that end early are
{" or ".join(options.early_ends)}. Every model is evaluated in {options.episodes} episodes, of which the first
{options.steps} steps count. Intervals are 95 %.

{machine}
"""


def _restraint(options: Options, rows: list[Row]) -> str:
    columns = ("protocol", "early_ends", "rate", "restraint", "sustainable", "published", "collapsed", "efficiency")
    shown = [{name: row[name] for name in (*columns, "equality", "sustainability")} for row in rows]
    return f"""## Restraint

The share of steps in which agents wait, mean over agents and episodes, with an interval over seeds; beside it the
least restraint with which the stock lasts (1 - rate / take) and the published number (reward sharing 0.1).
Collapsed: the share of seeds of which more than half of the episodes end by depletion, with Wilson's interval.
Efficiency is the reward of all agents per step of all {options.steps}, sustainability the mean time of rewards.

![heat map](heat_map.png)
![restraint of every seed](restraint_of_seeds.png)

{markdown_table(shown)}"""


def _teams(options: Options, tables: Tables, mixtures: Sequence[Mixture]) -> str:
    verdicts = "".join(f"- {' '.join(m.variant)}: {list_equilibria(m.equilibria)}\n" for m in mixtures)
    return f"""## Mixed teams

{options.teams} teams for each number of cooperators, at rate {options.team_rate:g}, {options.episodes} episodes each.
Cooperators have more restraint than {options.cooperator_above:g} and come from one model; defectors have less than
{options.defector_below:g}, and each sits in the slot it was trained in (our choice). Intervals are over teams drawn
from these models; they do not tell how other trainings would have ended.

![Schelling diagrams](schelling.png)

{verdicts}
{markdown_table(tables["dilemmas"])}
Numbers of cooperators for which there are no teams:

{markdown_table(tables["gaps"])}"""


def _meta_game(tables: Tables) -> str:
    return f"""## The game between cooperating and defecting

Rest points of the replicator dynamics by share of cooperators, with bootstrap intervals over teams; support is the
share of resamples that have the point. Mixed ones that are equilibria are the symmetric mixed equilibria.

![phase picture](phase.png)

{markdown_table(tables["rest_points"])}
Equilibria of the game reduced to two agents, by their probabilities of cooperating:

{markdown_table(tables["two_agents"])}"""
