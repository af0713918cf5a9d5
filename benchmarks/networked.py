"""Measures the cost of training per agent as networks grow: networked actor-critic on a ring of 4 to 1,024 agents.

    python -m benchmarks.networked
    python -m benchmarks.networked --protocols neurcomm --num-agents 16 1024

The game is `common_pool`; each agent receives messages from its two neighbours. The cost is the time of a whole update
(play, gradients and optimiser, without compiling) per agent and step. Every agent has its own parameters, so a large
network must fetch them from memory in every step. Several environments in parallel share this cost.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax

import jaxdilemmas
from baselines import networked
from baselines.networking.protocols import PROTOCOLS
from baselines.runs.terminal import as_command
from benchmarks.reporting import count_from, make_parser, measure_program, print_header, report

COLUMNS = ("protocol", "num_envs", "num_agents", "nanoseconds_per_agent_step", "compile_seconds", "peak_memory_mb")


def measure(config: networked.Config, num_agents: int, repeats: int) -> dict[str, Any]:
    """Speed, cost, compile time and peak memory of one update."""
    env = jaxdilemmas.make("common_pool", num_agents=num_agents)
    trainer = networked.make_trainer(config, env)
    train_state = jax.jit(trainer.init)(jax.random.key(0), env.default_params)
    inputs = [(train_state, env.default_params)] * (repeats + 1)
    speed = "agent_steps_per_second"
    measured = measure_program(speed, config.env_steps_per_update * num_agents, trainer.update, inputs)
    cost = {"nanoseconds_per_agent_step": round(1e9 / measured[speed]["median"])}
    return {"num_agents": num_agents} | cost | measured


@as_command
def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command `python -m benchmarks.networked`."""
    parser = make_parser("networked", __doc__)
    parser.add_argument("--protocols", nargs="+", choices=list(PROTOCOLS), default=["commnet"])
    parser.add_argument("--num-agents", nargs="+", type=count_from(1), default=[4, 16, 64, 256, 1024])
    parser.add_argument("--num-envs", type=count_from(1), default=8)
    parser.add_argument("--hidden-size", type=count_from(1), default=64)
    options = parser.parse_args(argv)
    print_header(COLUMNS)
    for protocol in options.protocols:
        config = networked.Config(
            protocol=protocol, graph="ring", num_envs=options.num_envs, hidden_size=options.hidden_size
        )
        for num_agents in options.num_agents:
            row = dataclasses.asdict(config) | measure(config, num_agents, options.repeats)
            report(row, options.output, COLUMNS)


if __name__ == "__main__":
    main()
