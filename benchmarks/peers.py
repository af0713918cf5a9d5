"""Games of other libraries, measured in the same run as ours; docs/performance.md shows how to install the libraries.

A library is imported only if one of its games is requested. No other part of the project needs these libraries.
"""

import importlib
import importlib.metadata
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.reporting import commit_of, rates
from benchmarks.rollout import Playable


class Library(NamedTuple):
    """Another library of games.

    Attributes:
      name: of the library.
      module: the module to import; it has `make` and `__version__`.
      clock: field of a state that counts the steps of an episode.
    """

    name: str
    module: str
    clock: str


SOCIALJAX = Library("SocialJax", "socialjax", clock="inner_t")
JAXMARL = Library("JaxMARL", "jaxmarl", clock="step")
JUMANJI = Library("jumanji", "jumanji", clock="step_count")
LB_FORAGING = Library("lb-foraging", "lbforaging", clock="current_step")


class Peer(NamedTuple):
    """A game of another library.

    Attributes:
      library: that has it.
      game: id of the game there.
      env_kwargs: keyword arguments of the game.
      length: attribute of the environment with the steps of an episode.
      observation: the content of one agent's observation, in words.
      like: id of our game with the same rules, or empty.
      cpu_env_steps: number of env steps that take a few seconds on a CPU.
    """

    library: Library
    game: str
    env_kwargs: dict[str, Any]
    length: str
    observation: str
    like: str = ""
    cpu_env_steps: int = 8_192

    @property
    def name(self) -> str:
        """Library and game."""
        return f"{self.library.name} {self.game}"

    def num_steps(self, num_envs: int, at_most: int) -> int:
        """Steps of each of `num_envs` environments in a timed call; on a CPU so many that they take a few seconds."""
        is_on_cpu = jax.default_backend() == "cpu"
        return min(at_most, max(1, self.cpu_env_steps // num_envs)) if is_on_cpu else at_most


_ABOUT_AGENTS = "self, other, other's heading (4), can interact, inventory (2), frozen"

PEERS = (
    Peer(
        SOCIALJAX,
        "clean_up",
        {"num_agents": 7},
        length="num_inner_steps",
        observation=f"per cell: its content, one of 9, as one-hot; {_ABOUT_AGENTS}",
        like="cleanup_meltingpot",
    ),
    Peer(
        SOCIALJAX,
        "harvest_common_open",
        {"num_agents": 7},
        length="num_inner_steps",
        observation=f"per cell: its content, one of 5, as one-hot; {_ABOUT_AGENTS}",
        like="harvest",
    ),
    Peer(
        SOCIALJAX,
        "coin_game",
        {"num_agents": 2},
        length="num_inner_steps",
        observation=f"per cell: its content, one of 4, as one-hot; {_ABOUT_AGENTS}",
        like="coins",
    ),
    Peer(
        SOCIALJAX,
        "coop_mining",
        {"num_agents": 6},
        length="num_inner_steps",
        observation="per cell: its content, one of 6, as one-hot; self, other, other's heading (4)",
        like="coop_mining",
    ),
    Peer(
        SOCIALJAX,
        "mushrooms",
        {"num_agents": 5},
        length="num_inner_steps",
        observation=f"per cell: its content as one-hot; {_ABOUT_AGENTS}",
        like="externality_mushrooms",
    ),
    Peer(
        SOCIALJAX,
        "pd_arena",
        {"num_agents": 8},
        length="num_inner_steps",
        observation="30 channels per cell: its content as one-hot, agents, headings, inventories",
        like="in_the_matrix",
    ),
    Peer(
        SOCIALJAX,
        "gift",
        {"num_agents": 6},
        length="num_inner_steps",
        observation="per cell: its content as one-hot; self, other, other's heading (4), and more",
        like="gift_refinements",
    ),
    Peer(
        SOCIALJAX,
        "territory_open",
        {"num_agents": 9},
        length="num_inner_steps",
        observation="per cell: its content as one-hot; self, other, other's heading (4), and more",
        like="territory",
    ),
    Peer(
        JAXMARL,
        "overcooked",
        {},
        length="max_steps",
        observation="cramped_room, per cell: players with heading, counters, pots, things and soups, in 26 channels",
        like="overcooked",
        cpu_env_steps=262_144,
    ),
    Peer(
        JAXMARL,
        "coin_game",
        {},
        length="num_inner_steps",
        observation="per cell: oneself, the other, the own coin, the other coin",
        like="coin_game",
        cpu_env_steps=1_048_576,
    ),
    Peer(
        JUMANJI,
        "LevelBasedForaging-v0",
        {"time_limit": 50},
        length="time_limit",
        observation="numbers: (row, col, level) of food, oneself and the other",
        like="level_based_foraging",
        cpu_env_steps=131_072,
    ),
    Peer(
        JUMANJI,
        "LevelBasedForaging-v0",
        {"time_limit": 50, "grid_observation": True},
        length="time_limit",
        observation="planes: agents, food, and free cells",
        like="level_based_foraging",
        cpu_env_steps=65_536,
    ),
    Peer(
        LB_FORAGING,
        "Foraging-8x8-2p-2f-coop-v3",
        {},
        length="_max_episode_steps",
        observation="numbers: (row, col, level) of food, oneself and the other",
        like="level_based_foraging",
        cpu_env_steps=4096,
    ),
    Peer(
        JAXMARL,
        "storm_np",
        {"num_agents": 7},
        length="num_inner_steps",
        observation=f"per cell: its content, one of 4, as one-hot; {_ABOUT_AGENTS}",
        cpu_env_steps=32_768,
    ),
    Peer(
        JAXMARL,
        "MPE_simple_spread_v3",
        {"num_agents": 3, "num_landmarks": 3},
        length="max_steps",
        observation="no grid: own velocity and position; where landmarks and others are, relative to it; messages",
        cpu_env_steps=1_048_576,
    ),
)
"""The games of other libraries.

The coin game of JaxMARL has the rules of ours. `storm_np`, its other social dilemma, is STORM for any number of agents.
The rules of JaxMARL's Overcooked are close to ours. The particles of MPE are a light game for comparison. The games of
lb-foraging are no programs of JAX: one environment plays in Python.
"""


def installed(peers: Sequence[Peer]) -> list[Peer]:
    """Returns the `peers` whose library can be imported; prints a line for each other library."""
    found = []
    missing: dict[str, str] = {}
    for peer in peers:
        try:
            importlib.import_module(peer.library.module)
            found.append(peer)
        except ImportError as error:
            missing[peer.library.name] = str(error)
    for library, reason in missing.items():
        print(f"{library} is not installed ({reason}), so it is not measured: see docs/performance.md", flush=True)
    return found


def version_of(peer: Peer) -> str:
    """Name and version of the library, with the commit if the library is imported from a clone."""
    module = importlib.import_module(peer.library.module)
    clone = Path(str(module.__file__)).parent.parent
    commit = f" ({commit_of(clone)})" if (clone / ".git").exists() else ""
    found = module.__version__ if hasattr(module, "__version__") else importlib.metadata.version(peer.library.module)
    return f"{peer.library.name} {found}{commit}"


def _accept_old_names() -> None:
    """Lets `jax.numpy.clip` take `a_min` and `a_max`, as it did when SocialJax was written."""
    clip = jnp.clip

    def clip_by_old_names(arr: Any, *bounds: Any, a_min: Any = None, a_max: Any = None, **named: Any) -> jax.Array:
        named |= {} if a_min is None and a_max is None else {"min": a_min, "max": a_max}
        return clip(arr, *bounds, **named)

    jnp.clip = clip_by_old_names  # type: ignore[assignment]


def peer_game(peer: Peer) -> Playable:
    """The game of another library, with the automatic resets of its own `step`."""
    if peer.library is JUMANJI:
        return jumanji_game(peer)
    if peer.game in ("coop_mining", "gift", "territory_open"):
        _accept_old_names()
    env = importlib.import_module(peer.library.module).make(peer.game, **peer.env_kwargs)
    episode_steps = getattr(env, peer.length)
    are_named = isinstance(env.agents[0], str)

    def start(key: jax.Array) -> tuple[Any, Any]:
        key_reset, key_clock = jax.random.split(key)
        obs, state = env.reset(key_reset)
        dtype = jax.dtypes.canonicalize_dtype(getattr(getattr(state, peer.library.clock), "dtype", int))
        return obs, state.replace(**{peer.library.clock: jax.random.randint(key_clock, (), 0, episode_steps, dtype)})

    def step(key: jax.Array, state: Any, actions: jax.Array) -> tuple[Any, Any, Any]:
        taken = dict(zip(env.agents, actions, strict=True)) if are_named else actions
        obs, state, *outcomes = env.step(key, state, taken)
        return obs, state, outcomes

    return Playable(start, step, env.num_agents, int(env.action_space(env.agents[0]).n))


def jumanji_game(peer: Peer) -> Playable:
    """A game of jumanji, with the resets of its `AutoResetWrapper`; its masks of actions are not computed."""
    game = importlib.import_module(peer.library.module).make(peer.game, **peer.env_kwargs)
    env = importlib.import_module("jumanji.wrappers").AutoResetWrapper(game)

    def start(key: jax.Array) -> tuple[Any, Any]:
        key_reset, key_clock = jax.random.split(key)
        state, timestep = env.reset(key_reset)
        clock = jax.random.randint(key_clock, (), 0, getattr(game, peer.length))
        return timestep.observation.agents_view, state.replace(**{peer.library.clock: clock})

    def step(key: jax.Array, state: Any, actions: jax.Array) -> tuple[Any, Any, Any]:
        del key
        state, timestep = env.step(state, actions)
        return timestep.observation.agents_view, state, (timestep.reward, timestep.discount, timestep.step_type)

    return Playable(start, step, game.num_agents, int(game.action_spec.num_values[0]))


def measure_in_python(peer: Peer, repeats: int) -> dict[str, Any]:
    """A row's numbers for a game of gymnasium: one environment on one core, random actions, and resets.

    The observation is that of one agent.
    """
    importlib.import_module(peer.library.module)
    env = importlib.import_module("gymnasium").make(peer.game, **peer.env_kwargs).unwrapped
    obs, _ = env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(peer.cpu_env_steps)]
    seconds = []
    for _ in range(repeats + 1):  # the first call warms up
        start = time.perf_counter()
        for joint in actions:
            _, _, is_over, is_cut, _ = env.step(joint)
            if is_over or is_cut:
                env.reset()
        seconds.append(time.perf_counter() - start)
    return {
        "num_agents": len(obs),
        "observation_dtype": str(obs[0].dtype),
        "observation_shape": "x".join(map(str, obs[0].shape)),
        "observation_bytes": obs[0].nbytes,
        "num_envs": 1,
        "num_steps": len(actions),
        "num_devices": 1,
        "env_steps_per_second": rates(len(actions), seconds[1:]),
        "compile_seconds": None,
        "peak_memory_mb": None,
    }
