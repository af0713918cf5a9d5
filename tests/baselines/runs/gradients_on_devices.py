"""Gradients of IPPO on tiles on 1, 2 and 8 CPU devices, in a process of its own: prints how far they are apart."""

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxdilemmas
from baselines import ippo
from baselines.core import devices, minibatches
from baselines.core.rollout import Players

ROWS = 512


def make_batch(code: Any, num_agents: int, num_actions: int) -> ippo.Batch:
    """Steps as of a rollout, at random, `[1, ROWS, ...]`."""
    keys = jax.random.split(jax.random.key(0), 6)
    tiles = jax.random.randint(keys[0], (1, ROWS, num_agents, *code.shape), 0, 8).astype(jnp.uint8)
    normal = [jax.random.normal(key, (1, ROWS, num_agents)) for key in keys[1:5]]
    return ippo.Batch(
        obs=code.encode(tiles),
        starts=jnp.zeros((1, ROWS), bool),
        memory=jnp.zeros((1, ROWS, num_agents, 0)),
        actions=jax.random.randint(keys[5], (1, ROWS, num_agents), 0, num_actions),
        log_probs=-2 + 0.1 * normal[0],
        values=normal[1],
        advantages=normal[2],
        value_targets=normal[3],
    )


def gradient(num_devices: int) -> np.ndarray:
    """Of the loss on a minibatch, all parameters in one row."""
    env = jaxdilemmas.make("gathering")
    config = ippo.Config(num_minibatches=2)
    code, networks = ippo.make_networks(config, env)
    learner = ippo.Learner(config, Players(env, code, networks), ippo.make_optimizer(config))
    mesh = devices.make_mesh(jax.devices()[:num_devices])

    def first_gradient(key: jax.Array) -> Any:
        deck = minibatches.shuffle(key, make_batch(code, env.num_agents, 8), config.num_minibatches)
        minibatch = jax.tree.map(lambda leaf: leaf[0], deck)
        return jax.grad(ippo.loss, has_aux=True)(networks.init(key), minibatch, learner, jnp.float32(0.01))[0]

    with devices.on_mesh(mesh):
        found = jax.jit(first_gradient, **devices.shardings(mesh))(jax.random.key(1))
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(jax.device_get(found))])


def main() -> None:
    """Prints the length of the difference to one device, in lengths of the gradient, by number of devices."""
    one, *others = (gradient(number) for number in (1, 2, 8))
    apart = [float(np.linalg.norm(other - one) / np.linalg.norm(one)) for other in others]
    sys.stdout.write(json.dumps(apart))


if __name__ == "__main__":
    main()
