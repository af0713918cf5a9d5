"""Measures joint actions per second of the games, with resets on and with all outputs used.

    python -m benchmarks.throughput
    python -m benchmarks.throughput --games gathering commons --observations tiles rgb --num-envs 64 1024
    python -m benchmarks.throughput --peers

Each game, size and kind of observation is one measurement: `num_envs` environments with `AutoReset` play `num_steps`
steps of random actions as one compiled loop. The actions are drawn inside the loop. Observations, rewards and info are
added up, so that the compiler cannot leave any of them out. Episodes start at random times on the clock, so that some
end in every step. Compiling is timed apart. With `--peers` games of other libraries are measured in the same way
(docs/performance.md, "Peers").

    python -m benchmarks.throughput --keep calls

measures an accelerator with stages that stay calls, as on a CPU; `branches` keeps what is computed only where it is
needed. On a CPU both are kept always.
"""

import argparse
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jaxdilemmas
from baselines.runs.terminal import as_command
from benchmarks.peers import LB_FORAGING, PEERS, Peer, installed, measure_in_python, peer_game, version_of
from benchmarks.reporting import count_from, make_parser, name_of, print_header, report
from benchmarks.rollout import describe_observation, measure, measure_what_fits, own_game
from jaxdilemmas import batching
from jaxdilemmas.grid.environment import OBSERVATION_KINDS

COLUMNS = ("game", "observation", "num_agents", "num_envs", "env_steps_per_second", "compile_seconds", "peak_memory_mb")
PEER_COLUMNS = ("observation_bytes", "times_peer")
"""Extra columns if there are games of other libraries."""


NUMBERS = "numbers"
"""The only kind of observation of games whose observations are plain numbers."""


class Case(NamedTuple):
    """The default measurement of a game, which the command line may change.

    Attributes:
      env_kwargs: keyword arguments of the game.
      num_envs: environments in parallel.
      observations: kinds of observation.
    """

    env_kwargs: dict[str, Any]
    num_envs: int = 1024
    observations: tuple[str, ...] = ("tiles",)


CASES: dict[str, list[Case]] = {
    "gathering": [Case({"num_agents": 2}, observations=OBSERVATION_KINDS), Case({"num_agents": 10})],
    "gathering_gallego": [
        Case({"map": "small", "num_agents": 2}),
        Case({"map": "default", "num_agents": 4}),
        Case({"map": "large", "num_agents": 10}),
    ],
    "commons": [Case({"num_agents": 12}, num_envs=256)],
    "commons_gallego": [Case({"num_agents": 12}, num_envs=256)],
    "common_pool": [Case({"num_agents": 4}, num_envs=4096, observations=(NUMBERS,))],
    "common_pool_network": [Case({"num_agents": 4}, num_envs=1024, observations=(NUMBERS,))],
    "cleanup": [Case({"num_agents": 5})],
    "cleanup_gallego": [Case({"map": "full", "num_agents": 10})],
    "cleanup_meltingpot": [Case({"num_agents": 7}, observations=("tiles", "one_hot"))],
    "coins": [Case({})],
    "coop_mining": [Case({"num_agents": 6}, observations=("tiles", "one_hot"))],
    "externality_mushrooms": [Case({}, observations=("tiles", "one_hot"))],
    "gems": [Case({}, observations=("entities", "planes"))],
    "gift_refinements": [Case({"num_agents": 6}, observations=("tiles", "one_hot"))],
    "harvest": [Case({"num_agents": 7}, observations=("tiles", "one_hot"))],
    "in_the_matrix": [
        Case({}),
        Case({"map": "arena"}, observations=("tiles", "one_hot")),
    ],
    "intersection": [Case({}, observations=(NUMBERS,))],
    "territory": [Case({"num_agents": 9}, observations=("tiles", "one_hot"))],
    "coin_game": [Case({}, num_envs=4096, observations=(NUMBERS,))],
    "level_based_foraging": [Case({"force_coop": True}, observations=("entities", "planes"))],
    "matrix_game": [
        Case({}, num_envs=4096, observations=(NUMBERS,)),
        Case({"game": "public_goods"}, num_envs=4096, observations=(NUMBERS,)),
    ],
    "overcooked": [Case({}, observations=(NUMBERS,))],
}
"""By id of the game; a game that is not here is measured as `make` builds it."""

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
KEPT = {"branches": "BRANCHES_ON", "calls": "CALLS_ON"}
"""What an accelerator may keep, and its constant in `jaxdilemmas.batching`."""

OBSERVATIONS = {
    "tiles": "the tile id of each cell",
    "one_hot": "a channel per tile id",
    "rgb": "a pixel for each cell",
    NUMBERS: "numbers, as the page of the game lists them",
    "entities": "the cell of each agent and thing, as the page of the game lists them",
    "planes": "the board, a plane per kind of agent and thing",
}
"""The content of our kinds of observation."""


def peer_rows(options: argparse.Namespace, found: Sequence[Peer]) -> Iterator[dict[str, Any]]:
    """A row for each game of other libraries and number of environments."""
    for peer in found:
        row: dict[str, Any] = {
            "game": peer.name,
            "env_kwargs": peer.env_kwargs,
            "peer": version_of(peer),
            "like": peer.like,
            "observation_holds": peer.observation,
        }
        if peer.library is LB_FORAGING:
            row |= measure_in_python(peer, options.repeats)
            yield row | {"observation": row["observation_shape"]}
            continue
        game = peer_game(peer)
        row |= {"num_agents": game.num_agents} | describe_observation(game)
        row["observation"] = row["observation_shape"]
        for num_envs in options.num_envs or [Case({}).num_envs]:
            num_steps = peer.num_steps(num_envs, at_most=options.num_steps)
            yield row | measure_what_fits(game, num_envs, num_steps, options.repeats)


def own_rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each of our games and its cases, kinds of observation and numbers of environments."""
    cases = [(game_id, case) for game_id in options.games for case in CASES.get(game_id, [Case({})])]
    for env_id, case in cases:
        has_tiles = set(case.observations) <= set(OBSERVATION_KINDS)
        for observation in (has_tiles and options.observations) or case.observations:
            kind = {} if observation == NUMBERS else {"observation": observation}
            game = own_game(jaxdilemmas.make(env_id, **kind, **case.env_kwargs))
            row = {
                "game": name_of(env_id, case.env_kwargs),
                "env_id": env_id,
                "env_kwargs": case.env_kwargs,
                "num_agents": game.num_agents,
                "observation": observation,
                "observation_holds": OBSERVATIONS[observation],
                "keep": options.keep,
            }
            row |= describe_observation(game)
            for num_envs in options.num_envs or [case.num_envs]:
                yield row | measure(game, num_envs, options.num_steps, options.repeats)


def keep_everywhere(names: Iterable[str]) -> None:
    """Keeps `branches` or `calls` on every device in programs that this process traces from now on."""
    for name in names:
        setattr(batching, KEPT[name], PLATFORMS)


def times_peer(row: Mapping[str, Any], earlier: Iterable[Mapping[str, Any]]) -> float | None:
    """The speed of our game, divided by that of the fastest comparable row of another library.

    A row is comparable if its game has the rules of ours and the same number of agents.

    Args:
      row: a row of a game of ours or of another library.
      earlier: the rows before it.

    Returns:
      The ratio of the medians, or None if there is no such row.
    """
    speeds = [
        other["env_steps_per_second"]["median"]
        for other in earlier
        if "peer" in other and (other["like"], other["num_agents"]) == (row.get("env_id"), row["num_agents"])
    ]
    return round(row["env_steps_per_second"]["median"] / max(speeds), 1) if speeds else None


def print_observations(rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints the content of one agent's observation for each game, once."""
    print("\nAn observation of one agent:")
    lines = [
        f"{row['game']}, {row['observation_dtype']} [{row['observation_shape']}]: {row['observation_holds']}"
        for row in rows
    ]
    print("\n".join(dict.fromkeys(lines)), flush=True)


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.throughput`."""
    parser = make_parser("throughput", __doc__)
    parser.add_argument("--games", nargs="+", default=jaxdilemmas.registered_envs(), help="ids of games")
    parser.add_argument("--observations", nargs="+", help="from tiles, one_hot, rgb; those of CASES by default")
    parser.add_argument(
        "--num-envs", type=count_from(1), nargs="+", help="environments in parallel; those of CASES by default"
    )
    parser.add_argument(
        "--num-steps", type=count_from(1), default=256, help="steps of each environment in one timed call"
    )
    parser.add_argument("--keep", nargs="+", choices=list(KEPT), default=[], help="what stays on an accelerator")
    parser.add_argument("--peers", action="store_true", help="also games of other libraries, if they are installed")
    options = parser.parse_args(argv)
    keep_everywhere(options.keep)
    found = installed(PEERS) if options.peers else []
    columns = (*COLUMNS, *PEER_COLUMNS) if options.peers else COLUMNS
    print_header(columns)
    rows: list[dict[str, Any]] = []
    for row in itertools.chain(peer_rows(options, found), own_rows(options)):
        rows.append(row | {"times_peer": times_peer(row, rows)})
        report(rows[-1], options.output, columns)
    if options.peers:
        print_observations(rows)


if __name__ == "__main__":
    main()
