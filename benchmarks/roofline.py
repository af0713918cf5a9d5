"""Bounds on paper of the speed of games on accelerators: bytes and operations of a step, beside what a device can do.

    python -m benchmarks.roofline

Nothing is measured and nothing is compiled. A step moves at least these bytes through the memory of the device: it
reads the state and the actions, and writes the state, the observations, rewards, ends and info. Its operations are
those that XLA counts in the program of an accelerator as it is written, one for each number that is computed, of any
type; the compiler may leave some of them out. A real program is slower: it also reads and writes in between, operations
on integers are slower than the peak, and each kernel takes time to start.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxdilemmas
from baselines.runs.terminal import as_command
from benchmarks.floor import sizes_of
from benchmarks.reporting import make_parser, print_header, report
from jaxdilemmas import batching

NUM_ENVS = 64
"""Environments in the program whose operations are counted."""


class Device(NamedTuple):
    """Peaks that a vendor publishes: bytes moved and operations made in a second."""

    bytes_per_second: float
    operations_per_second: float


DEVICES = {"H200": Device(4.8e12, 67e12), "TPU v5e": Device(819e9, 197e12)}
"""NVIDIA H200 (SXM), data sheet: 4.8 TB/s, 67 TFLOP/s of float32. TPU v5e, page of Google Cloud on its architecture:
819 GB/s, 197 TFLOP/s of bfloat16 in its matrix units; the page has no peak of its vector units, which are slower."""

COLUMNS = ("game", "num_agents", "bytes_per_step", "operations_per_step", *DEVICES)


def count(env_id: str) -> dict[str, Any]:
    """Bytes and operations of one step of one environment that resets itself."""
    inner = jaxdilemmas.make(env_id)
    env = jaxdilemmas.AutoReset(inner)
    keys = jax.random.split(jax.random.key(0), NUM_ENVS)
    actions = jnp.zeros((NUM_ENVS, env.num_agents, *env.action_space.shape), env.action_space.dtype)
    _, state = jax.eval_shape(jax.vmap(env.reset), keys)
    lowered: Any = jax.jit(jax.vmap(env.step)).lower(keys, state, actions)
    written = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(lowered.out_info))
    state_bytes = sizes_of(inner)["state_bytes"]
    return {
        "num_agents": env.num_agents,
        "bytes_per_step": state_bytes + (actions.nbytes + written) // NUM_ENVS,
        "operations_per_step": round(lowered.cost_analysis()["flops"] / NUM_ENVS),
    }


def bounds(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """For each device the most env steps per second that its peaks allow, and which of both bounds it is."""
    found = {}
    for name, device in DEVICES.items():
        speeds = {
            "bytes": device.bytes_per_second / row["bytes_per_step"],
            "operations": device.operations_per_second / row["operations_per_step"],
        }
        limit = min(speeds, key=speeds.__getitem__)
        found[name] = {"median": round(speeds[limit]), "limit": limit}
    return found


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.roofline`."""
    parser = make_parser("roofline", __doc__)
    parser.add_argument("--games", nargs="+", default=jaxdilemmas.registered_envs(), help="ids of games")
    options = parser.parse_args(argv)
    batching.BRANCHES_ON = batching.CALLS_ON = ()  # the program of an accelerator
    print_header(COLUMNS)
    rows = []
    for env_id in options.games:
        rows.append({"game": env_id} | count(env_id))
        rows[-1] |= bounds(rows[-1])
        report(rows[-1] | {"is_measured": False}, options.output, COLUMNS)


if __name__ == "__main__":
    main()
