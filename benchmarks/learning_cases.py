"""The experiments of `benchmarks.learning`: options of IPPO by name, and notes for the table of results."""

from typing import NamedTuple


class Experiment(NamedTuple):
    """Options of `python -m baselines.ippo`; all others come from `baselines.presets` and `baselines.ippo.Config`.

    Attributes:
      options: begin with `--env`.
      note: information for readers of the table.
    """

    options: str
    note: str = ""


LARGE = "--env gathering_gallego --env-kwargs map=large num_agents=10"
DILEMMA = "A dilemma: the best action for one agent costs the group. Compare the row with common reward."

EXPERIMENTS = {
    "gathering": Experiment(
        "--env gathering",
        "`greedy` sees the whole board, trained agents see a part of it (16 x 21 cells). The supply ends at 520.",
    ),
    "overcooked": Experiment(
        "--env overcooked --env-kwargs max_steps=500",
        "One delivery adds 40 to the collective return. The cooks share every reward. `greedy` cooks see "
        "the whole board.",
    ),
    "gems": Experiment(
        "--env gems",
        "The game ends once both players together have more than 20. Agents that discount need fewer steps than "
        "`greedy`; the amount above 20 is chance. Four of five seeds return as much as `greedy`, seed 101 returns 15.",
    ),
    "intersection": Experiment("--env intersection"),
    "common_pool_individual": Experiment("--env common_pool", DILEMMA),
    "common_pool_common": Experiment("--env common_pool --reward common"),
    "common_pool_network_individual": Experiment("--env common_pool_network", DILEMMA),
    "common_pool_network_common": Experiment("--env common_pool_network --reward common"),
    "coin_game_individual": Experiment("--env coin_game", DILEMMA),
    "coin_game_common": Experiment("--env coin_game --reward common"),
    "level_based_foraging_individual": Experiment("--env level_based_foraging"),
    "level_based_foraging_common": Experiment("--env level_based_foraging --reward common"),
    "matrix_game_individual": Experiment("--env matrix_game", DILEMMA),
    "matrix_game_common": Experiment("--env matrix_game --reward common"),
    "coins_individual": Experiment("--env coins", DILEMMA),
    "coins_common": Experiment("--env coins --reward common"),
    "commons_individual": Experiment("--env commons", DILEMMA),
    "commons_common": Experiment("--env commons --reward common"),
    "cleanup_individual": Experiment("--env cleanup", DILEMMA),
    "cleanup_common": Experiment("--env cleanup --reward common"),
    "cleanup_inequity_averse": Experiment(
        "--env cleanup --reward inequity_averse",
        "Agents with envy and guilt go on fining each other, four times per agent and episode, and do not clean.",
    ),
    "cleanup_meltingpot_individual": Experiment("--env cleanup_meltingpot", DILEMMA),
    "cleanup_meltingpot_common": Experiment(
        "--env cleanup_meltingpot --reward common --bonus cleaned=0.2 --bonus-steps 1000000",
        "The bonus for cleaning fades out over the first million env steps, and is no part of these returns. Without "
        "a bonus agents did not find out that cleaning brings apples: 0.2 apples in an episode.",
    ),
    "harvest_individual": Experiment("--env harvest", DILEMMA),
    "harvest_common": Experiment("--env harvest --reward common"),
    "harvest_inequity_averse": Experiment(
        "--env harvest --reward inequity_averse",
        "Envy and guilt do not solve the dilemma: agents collect less than random play, and seeds differ a lot.",
    ),
    "coop_mining_individual": Experiment(
        "--env coop_mining",
        "Two agents that mine gold gain both, so their own reward is enough. With common reward the same steps teach "
        "less.",
    ),
    "coop_mining_common": Experiment("--env coop_mining --reward common"),
    "externality_mushrooms_individual": Experiment("--env externality_mushrooms"),
    "externality_mushrooms_common": Experiment("--env externality_mushrooms --reward common"),
    "in_the_matrix_individual": Experiment("--env in_the_matrix"),
    "in_the_matrix_common": Experiment("--env in_the_matrix --reward common"),
    "gift_refinements_individual": Experiment("--env gift_refinements"),
    "gift_refinements_common": Experiment("--env gift_refinements --reward common"),
    "territory_individual": Experiment("--env territory"),
    "territory_common": Experiment("--env territory --reward common"),
    "gathering_gallego": Experiment("--env gathering_gallego"),
    "commons_gallego_individual": Experiment("--env commons_gallego", DILEMMA),
    "commons_gallego_common": Experiment("--env commons_gallego --reward common"),
    "cleanup_gallego_individual": Experiment(
        "--env cleanup_gallego",
        "A dilemma: if no agent cleans, there are only the 103 apples of the start. In trials (seed 0) agents with "
        "common reward did not learn to clean in a million env steps, and with a bonus for cleaning not in 600,000.",
    ),
    "cleanup_gallego_common": Experiment(
        "--env cleanup_gallego --reward common",
        "Agents did not learn to clean: they share the 103 apples of the start.",
    ),
    "gathering_no_beam": Experiment(
        "--env gathering --env-kwargs beam_enabled=False", "See `gathering`: `greedy` sees the whole board."
    ),
    "large_individual": Experiment(f"{LARGE} --total-env-steps 800000"),
    "large_common": Experiment(f"{LARGE} --reward common --reward-scale 0.3 --gae-lambda 0.8 --total-env-steps 800000"),
}
"""By name, in the order of the table."""
