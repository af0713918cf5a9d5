"""Actor-critic networks over sequences of tile ids, images, flat vectors or entities, and how agents share them.

Tile ids are kept as packed bits from the rollout on. On CPU most time of learning goes into the first layer, so its
product is bfloat16 and has a gradient of its own: XLA's fast CPU kernels take a product only when the left operand
contracts on its last axis, which the gradient that autodiff would write does not do.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from baselines.core.entities import EntityTorso
from baselines.core.layers import INITIAL_KERNEL, Dense
from jaxdilemmas.environment import Environment, require
from jaxdilemmas.spaces import Space

Torso = Literal["mlp", "conv", "gru", "set"]
WORD_BITS = 32
WINDOW = 4
STRIDE = 3
"""Squares of cells that a convolution reads, and how far one is from the next: neighbours share a row of cells."""


@dataclasses.dataclass(frozen=True)
class ObservationCode:
    """How observations of one space are stored by the learner and read by a network.

    Tile ids (a uint8 space of shape `[h, w]`) are written in binary and packed, `[..., h, w]` uint8 becomes `[..., W]`
    uint32, see `pack`. Everything else is stored as it is.

    A network that reads P windows, overlapping squares of cells, is a convolution written as a product: for it tile ids
    are stored window by window, `[..., P, W]`.

    Attributes:
      shape: the space's.
      num_bits: bits of a tile id; 0 if the space does not hold tile ids.
      scale: entries are divided by it: 255 for pixels, 1 for one-hot and float observations.
      in_windows: whether the network reads windows.
      kinds: of the slots of observations that are entities, for networks that read sets; see `entities.EntityTorso`.
    """

    shape: tuple[int, ...]
    num_bits: int = 0
    scale: float = 1.0
    in_windows: bool = False
    kinds: tuple[int, ...] = ()

    @classmethod
    def for_network(cls, env: Environment, torso: Torso) -> "ObservationCode":
        """The code in which a network reads the observations of a game.

        Raises:
          ValueError: they are not of the kind that the network reads.
        """
        if torso != "set":
            return cls.of(env.observation_space, in_windows=torso == "conv")
        kinds = getattr(env, "entity_kinds", None)
        if kinds is None:
            raise ValueError(f"network='set' is not allowed: {type(env).__name__} shows no entities (entity_kinds)")
        return dataclasses.replace(cls.of(env.observation_space), kinds=tuple(int(kind) for kind in kinds))

    @classmethod
    def of(cls, space: Space, in_windows: bool = False) -> "ObservationCode":
        """The code for a space.

        Raises:
          ValueError: observations without rows and columns are to be read in windows.
        """
        has_cells = len(space.shape) >= 2
        require(has_cells or not in_windows, "network", "conv", f"mlp or gru for observations of shape {space.shape}")
        if np.dtype(space.dtype) != np.uint8:
            return cls(space.shape, in_windows=in_windows)
        high = int(getattr(space, "high", 255))
        if len(space.shape) == 2:
            return cls(space.shape, num_bits=max(1, high.bit_length()), in_windows=in_windows)
        return cls(space.shape, scale=float(high), in_windows=in_windows)

    def encode(self, obs: jax.Array) -> jax.Array:
        """Observations `[..., *shape]` as they are stored."""
        if not self.num_bits:
            return obs
        cells = obs.reshape(*obs.shape[: obs.ndim - 2], -1)
        if self.in_windows:
            cells = cut_windows(cells[..., None], self.shape)[..., 0]
        return pack(cells, self.num_bits)

    def numbers(self, stored: jax.Array) -> jax.Array:
        """Stored observations other than tile ids as float32: `[M, *shape]` -> `[M, D]`, or `[M, P, D]` in windows."""
        numbers = stored.astype(jnp.float32) / self.scale
        if not self.in_windows:
            return numbers.reshape(len(stored), -1)
        windows = cut_windows(numbers.reshape(len(stored), self.shape[0] * self.shape[1], -1), self.shape)
        return windows.reshape(*windows.shape[:2], -1)


def cut_windows(cells: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Cuts boards into windows of `WINDOW` by `WINDOW` cells, one every `STRIDE` cells; off the board cells are 0.

    Args:
      cells: `[..., h * w, C]`.
      shape: h and w first.

    Returns:
      `[..., P, WINDOW ** 2, C]`.
    """
    height, width = shape[:2]
    rows, cols = (np.arange(0, side, STRIDE)[:, None] + np.arange(WINDOW) for side in (height, width))
    is_on_board = (rows < height)[:, None, :, None] & (cols < width)[None, :, None, :]
    index = np.where(is_on_board, rows[:, None, :, None] * width + cols[None, :, None, :], height * width)
    cells = jnp.pad(cells, [(0, 0)] * (cells.ndim - 2) + [(0, 1), (0, 0)])
    return jnp.take(cells, index.reshape(-1, WINDOW**2), axis=-2, mode="clip")


def pack(cells: jax.Array, num_bits: int) -> jax.Array:
    """Packs small numbers, `[..., n]` uint8 below 2 ** num_bits -> `[..., W]` uint32.

    A word holds as many as fit, the bits left over are 0; word w holds the numbers w, w + W, w + 2 W and so on.
    """
    numbers_per_word = WORD_BITS // num_bits
    padding = [(0, 0)] * (cells.ndim - 1) + [(0, -cells.shape[-1] % numbers_per_word)]
    cells = jnp.pad(cells, padding).reshape(*cells.shape[:-1], numbers_per_word, -1).astype(jnp.uint32)
    shifts = num_bits * jnp.arange(numbers_per_word, dtype=jnp.uint32)
    return jnp.sum(cells << shifts[:, None], axis=-2, dtype=jnp.uint32)


def unpack_bits(words: jax.Array) -> jax.Array:
    """Bits of packed words as numbers, `[..., W]` uint32 -> `[..., 32 W]` bfloat16 of 0 and 1, lowest bit first."""
    bits = (words[..., None] >> jnp.arange(WORD_BITS, dtype=jnp.uint32)) & 1
    return bits.astype(jnp.bfloat16).reshape(*words.shape[:-1], -1)


@jax.custom_vjp
def multiply_bits(words: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product of packed bits with a matrix: `[M, W]` uint32 times `[32 W, K]` float32 -> `[M, K]` float32.

    Computed in bfloat16 and summed in float32. The gradient reads the bits once more, transposed, so that it too
    contracts on the last axis of its left operand.
    """
    return jnp.dot(unpack_bits(words), kernel.astype(jnp.bfloat16), preferred_element_type=jnp.float32)


def _multiply_bits_forward(words: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    return multiply_bits(words, kernel), words


def _multiply_bits_backward(words: jax.Array, gradient: jax.Array) -> tuple[np.ndarray, jax.Array]:
    bits = (words.T[:, None, :] >> jnp.arange(WORD_BITS, dtype=jnp.uint32)[:, None]) & 1
    bits = bits.astype(jnp.bfloat16).reshape(-1, len(words))
    kernel_gradient = jnp.dot(bits, gradient.astype(jnp.bfloat16), preferred_element_type=jnp.float32)
    return np.zeros(words.shape, jax.dtypes.float0), kernel_gradient


multiply_bits.defvjp(_multiply_bits_forward, _multiply_bits_backward)


class FirstLayer(nn.Module):
    """A dense layer on stored observations, whatever their code; in windows it is the same for each: a convolution.

    Attributes:
      code: how they are stored.
      features: K.
    """

    code: ObservationCode
    features: int

    @nn.compact
    def __call__(self, stored: jax.Array) -> jax.Array:
        """`[M, ...]` -> `[M, K]`, or `[M, P, K]` in windows, float32."""
        if not self.code.num_bits:
            return Dense(self.features)(self.code.numbers(stored))
        num_words = stored.shape[-1]
        kernel = self.param("kernel", INITIAL_KERNEL, (WORD_BITS * num_words, self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        product = multiply_bits(stored.reshape(-1, num_words), kernel)
        return product.reshape(*stored.shape[:-1], self.features) + bias


class ResettingGRU(nn.Module):
    """A gated recurrent unit that forgets where an episode starts, scanned over time.

    Attributes:
      features: H.
    """

    features: int

    @partial(nn.scan, variable_broadcast="params", split_rngs={"params": False})
    @nn.compact
    def __call__(self, memory: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Memory `[M, H]`, inputs x `[T, M, F]` and starts `[T, M]` -> memory `[M, H]`, outputs `[T, M, H]`."""
        x, starts = inputs
        memory = jnp.where(starts[:, None], 0.0, memory)
        return nn.GRUCell(self.features)(memory, x)


class Output(NamedTuple):
    """What networks make of a sequence: memory after its last step, logits of actions and values at every step."""

    memory: jax.Array
    logits: jax.Array
    values: jax.Array


class ActorCritic(nn.Module):
    """Action logits and a value for each observation of a sequence.

    Actor and critic share the first layer and the memory; of the last hidden layer each has one half to itself.

    Attributes:
      code: how observations are stored.
      num_actions: A.
      torso: "mlp", "conv" (a convolution before the first dense layer), "gru" (memory behind it), "set" (entities).
      hidden_size: width of every layer, even.
      num_agents: N when the agent's number is an input, behind the first layer; 0 without.
    """

    code: ObservationCode
    num_actions: int
    torso: Torso = "mlp"
    hidden_size: int = 64
    num_agents: int = 0

    @property
    def memory_size(self) -> int:
        """H, 0 for networks without memory."""
        return self.hidden_size if self.torso == "gru" else 0

    @nn.compact
    def __call__(self, memory: jax.Array, obs: jax.Array, starts: jax.Array, agents: jax.Array) -> Output:
        """Reads a sequence.

        Args:
          memory: `[M, H]` float32, before the first step.
          obs: `[T, M, ...]`, stored observations.
          starts: `[T, M]` bool, which observations are the first of an episode: memory is zero there.
          agents: `[M]` int32, whose observations they are.

        Returns:
          Memory after the last step `[M, H]`, logits `[T, M, A]`, values `[T, M]`.
        """
        num_steps, batch_size = obs.shape[:2]
        x = self.read(obs.reshape(-1, *obs.shape[2:])).reshape(num_steps, batch_size, -1)
        if self.num_agents:
            ids = jnp.broadcast_to(
                jax.nn.one_hot(agents, self.num_agents, dtype=jnp.float32), (num_steps, batch_size, self.num_agents)
            )
            x = jnp.concatenate([x, ids], axis=-1)
        if self.torso == "gru":
            memory, x = ResettingGRU(self.hidden_size)(memory, (x, starts))
        actor, critic = jnp.split(nn.relu(Dense(self.hidden_size)(x)), 2, axis=-1)
        logits = Dense(self.num_actions, kernel_init=nn.initializers.zeros)(actor)
        return Output(memory, logits, Dense(1)(critic)[..., 0])

    def read(self, stored: jax.Array) -> jax.Array:
        """The first layers, `[M, ...]` -> `[M, hidden_size]`."""
        if self.torso == "set":
            return EntityTorso(self.code.kinds, self.hidden_size)(self.code.numbers(stored))
        if self.torso != "conv":
            return nn.relu(FirstLayer(self.code, self.hidden_size)(stored))
        features = nn.relu(FirstLayer(self.code, -(-self.hidden_size // 2))(stored))
        return nn.relu(Dense(self.hidden_size)(features.reshape(len(stored), -1)))


class AgentNetworks(NamedTuple):
    """The networks of N agents as one function.

    Attributes:
      init: key -> network_params; a leading axis N when parameters are separate.
      initial_memory: num_envs -> `[B, N, H]` float32.
      apply: (network_params, memory `[B, N, H]`, obs `[T, B, N, ...]`, starts `[T, B]`) -> (memory `[B, N, H]`, logits
        `[T, B, N, A]`, values `[T, B, N]`).
    """

    init: Callable[[jax.Array], Any]
    initial_memory: Callable[[int], jax.Array]
    apply: Callable[[Any, jax.Array, jax.Array, jax.Array], Output]


def make_agent_networks(module: ActorCritic, num_agents: int, is_shared: bool) -> AgentNetworks:
    """Gives every agent `module`, with one set of parameters for all or one for each."""
    return AgentNetworks(
        init=partial(_init_shared if is_shared else _init_separate, module, num_agents),
        initial_memory=lambda num_envs: jnp.zeros((num_envs, num_agents, module.memory_size), jnp.float32),
        apply=partial(_apply_shared if is_shared else _apply_separate, module),
    )


def _init_shared(module: ActorCritic, num_agents: int, key: jax.Array) -> Any:
    del num_agents
    obs = module.code.encode(jnp.zeros((1, 1, *module.code.shape), jnp.uint8 if module.code.num_bits else jnp.float32))
    memory, starts = jnp.zeros((1, module.memory_size)), jnp.zeros((1, 1), bool)
    return module.init(key, memory, obs, starts, jnp.zeros(1, jnp.int32))


def _init_separate(module: ActorCritic, num_agents: int, key: jax.Array) -> Any:
    return jax.vmap(partial(_init_shared, module, 1))(jax.random.split(key, num_agents))


def _call(
    module: ActorCritic,
    network_params: Any,
    memory: jax.Array,
    obs: jax.Array,
    starts: jax.Array,
    agents: jax.Array,
) -> Output:
    output: Any = module.apply(network_params, memory, obs, starts, agents)
    return output


def _apply_shared(
    module: ActorCritic, network_params: Any, memory: jax.Array, obs: jax.Array, starts: jax.Array
) -> Output:
    num_steps, num_envs, num_agents = obs.shape[:3]
    output = _call(
        module,
        network_params,
        memory.reshape(num_envs * num_agents, module.memory_size),
        obs.reshape(num_steps, num_envs * num_agents, *obs.shape[3:]),
        jnp.repeat(starts, num_agents, axis=1),
        jnp.tile(jnp.arange(num_agents, dtype=jnp.int32), num_envs),
    )
    shape = (num_steps, num_envs, num_agents)
    return Output(
        memory=output.memory.reshape(num_envs, num_agents, module.memory_size),
        logits=output.logits.reshape(*shape, -1),
        values=output.values.reshape(shape),
    )


def _apply_separate(
    module: ActorCritic, network_params: Any, memory: jax.Array, obs: jax.Array, starts: jax.Array
) -> Output:
    num_envs, num_agents = obs.shape[1:3]
    call = partial(_call, module)
    apply = jax.vmap(lambda *inputs: tuple(call(*inputs)), in_axes=(0, 1, 2, None, 0), out_axes=(1, 2, 2))
    return Output(*apply(network_params, memory, obs, starts, jnp.zeros((num_agents, num_envs), jnp.int32)))
