"""A whole training run as one compiled loop that hands over every update as it happens."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback
from jax.sharding import Mesh

from baselines.core import devices
from baselines.core.trainer import Trainer, Varied
from baselines.disk.packing import pack

TrainState = Any
Metrics = dict[str, np.ndarray]


class Compiled(NamedTuple):
    """The loop is ready to run.

    Attributes:
      seconds: it took to trace and compile.
      time: when it was ready, by `time.perf_counter`.
    """

    seconds: float
    time: float


class Update(NamedTuple):
    """An update is done.

    Attributes:
      update: its number, from 1.
      metrics: of that update, `[S]` or `[S, N]` NumPy arrays.
      time: when it ended, by `time.perf_counter`.
      is_finite: `[S]` bool, whether the parameters and losses of each seed are finite; the loop ends where one is not.
    """

    update: int
    metrics: Metrics
    time: float
    is_finite: np.ndarray


class Checkpoint(NamedTuple):
    """The state after a number of updates, to resume from: `pack(train_states)` as NumPy arrays."""

    update: int
    arrays: dict[str, np.ndarray]


class Finished(NamedTuple):
    """The last event: the number of updates after which the loop ended, fewer than all if it was stopped."""

    update: int
    train_states: TrainState


Event = Compiled | Update | Checkpoint | Finished


class LoopCarry(NamedTuple):
    """Between two updates: train states of all seeds, the number of updates done, and whether to go on."""

    train_states: TrainState
    update: jax.Array
    is_wanted: jax.Array


def over_seeds(function: Callable[[Any, Any], Any], num_seeds: int) -> Callable[[Any, Any], Any]:
    """Maps a function of (x, env_params) over the leading axis S of x, and of env_params if these are a `Varied`.

    A single seed is not vmapped: under vmap both branches of every `lax.cond` are computed, and compiling takes longer.
    """

    def apply(x: Any, env_params: Any) -> Any:
        is_varied = isinstance(env_params, Varied)
        if num_seeds > 1:
            return jax.vmap(function, in_axes=(0, 0 if is_varied else None))(x, env_params)
        first = jax.tree.map(lambda leaf: leaf[0], (x, env_params) if is_varied else (x,))
        result = function(first[0], first[1] if is_varied else env_params)
        return jax.tree.map(lambda leaf: leaf[None], result)

    return apply


def fresh_train_states(trainer: Trainer, seeds: Sequence[int], env_params: Any) -> TrainState:
    """The train states of all seeds before the first update, leading axis S."""
    keys = jax.vmap(jax.random.key)(jnp.array(seeds))
    return jax.jit(over_seeds(trainer.init, len(seeds)))(keys, env_params)


class TrainingStream:
    """Trains in a thread of its own and yields what happens: `Compiled`, `Update`s and `Checkpoint`s, `Finished`.

    All updates of all seeds are one compiled loop. Where it starts is an argument of the loop, so that a run that is
    resumed executes the same program as one that was never interrupted.

    Args:
      trainer: the algorithm.
      env_params: numbers in the rules, the same for all seeds, or a `Varied` with an entry for each.
      num_updates: where the loop ends.
      checkpoint_every: updates from one `Checkpoint` to the next.
      mesh: of the devices that share the work; see `core.devices`. Outside of the loop each has whole train
        states. Of several processes only the first receives `Update`s and `Checkpoint`s.

    Use it as a context manager: leaving it early stops the loop after the update at work.
    """

    def __init__(
        self, trainer: Trainer, env_params: Any, num_updates: int, checkpoint_every: int, mesh: Mesh | None = None
    ) -> None:
        self.trainer = trainer
        self.env_params = env_params
        self.num_updates = num_updates
        self.checkpoint_every = checkpoint_every
        self.mesh = mesh
        self._events: queue.Queue[Event | BaseException] = queue.Queue(maxsize=64)
        self._is_stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, make_train_states: Callable[[], TrainState], update: int = 0) -> None:
        """Begins in the background.

        Args:
          make_train_states: returns the train states of all seeds, leading axis S, after `update` updates.
          update: the number of updates that are done.
        """
        self._thread = threading.Thread(target=self._train, args=(make_train_states, update), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Lets the loop end after the update at work; `Finished` then comes early."""
        self._is_stopped.set()

    def __enter__(self) -> "TrainingStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        while self._thread is not None and self._thread.is_alive():
            self.next_event(timeout=0.1)

    def __iter__(self) -> Iterator[Event | None]:
        """Yields events as they come, and None whenever a tenth of a second passes without one.

        Raises:
          RuntimeError: an update raised an exception, which is its cause: a fault of the algorithm or the game, not of
            the options.
        """
        while True:
            event = self.next_event(timeout=0.1)
            if isinstance(event, Exception):
                raise RuntimeError(f"an update failed: {event}") from event
            if isinstance(event, BaseException):
                raise event
            yield event
            if isinstance(event, Finished):
                return

    def next_event(self, timeout: float) -> Event | BaseException | None:
        """The next event, an exception that ended the loop, or None after `timeout` seconds."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def _train(self, make_train_states: Callable[[], TrainState], update: int) -> None:
        """Compiles and runs the loop, while the train states are made; the body of the thread."""
        try:
            start_time = time.perf_counter()
            with ThreadPoolExecutor(max_workers=1) as pool, devices.on_mesh(self.mesh):
                train_states = pool.submit(make_train_states)
                arguments = jax.eval_shape(make_train_states), np.int32(update), self.env_params
                loop = jax.jit(self._loop, donate_argnums=0, **devices.shardings(self.mesh))
                compiled = loop.lower(*arguments).compile()
                arguments = devices.put_on(self.mesh, train_states.result()), *arguments[1:]
            now = time.perf_counter()
            self._events.put(Compiled(now - start_time, now))
            self._run(compiled, *arguments)
        except BaseException as error:
            self._events.put(error)

    def _run(self, loop: Callable[..., LoopCarry], train_states: TrainState, update: Any, env_params: Any) -> None:
        """Runs the compiled loop from one checkpoint to the next."""
        carry = LoopCarry(train_states, update, jnp.bool_(update < self.num_updates))
        while carry.is_wanted:
            carry = loop(carry.train_states, carry.update, env_params)
            update = int(carry.update)
            if carry.is_wanted and update % self.checkpoint_every == 0:
                self._events.put(Checkpoint(update, _copy(pack(carry.train_states))))  # the loop reuses them
            carry = carry._replace(is_wanted=carry.is_wanted and update < self.num_updates)
        self._events.put(Finished(int(carry.update), carry.train_states))

    def _loop(self, train_states: TrainState, update: jax.Array, env_params: Any) -> LoopCarry:
        """Updates from number `update` on to the next checkpoint or the last update, for all seeds at once."""
        num_seeds = len(jax.tree.leaves(train_states)[0])
        update_all = over_seeds(self.trainer.update, num_seeds)

        def body(carry: LoopCarry) -> LoopCarry:
            train_states, metrics = update_all(carry.train_states, env_params)
            update, is_finite = carry.update + 1, are_finite(train_states.network_params, metrics)
            reported = devices.whole((update, metrics, is_finite))
            is_wanted = io_callback(self._report, jax.ShapeDtypeStruct((), bool), *reported, ordered=True)
            return LoopCarry(train_states, update, is_wanted)

        next_checkpoint = (update // self.checkpoint_every + 1) * self.checkpoint_every
        last = jnp.minimum(next_checkpoint, self.num_updates)

        def is_running(carry: LoopCarry) -> jax.Array:
            return carry.is_wanted & (carry.update < last)

        return jax.lax.while_loop(is_running, body, LoopCarry(train_states, update, jnp.bool_(True)))

    def _report(self, update: jax.Array, metrics: dict[str, jax.Array], is_finite: jax.Array) -> np.bool_:
        """Called by the loop. It copies to NumPy and calls nothing of JAX, which could wait for the loop itself."""
        is_finite_there = np.array(is_finite)
        self._events.put(Update(int(update), _copy(metrics), time.perf_counter(), is_finite_there))
        return np.bool_(is_finite_there.all() and not self._is_stopped.is_set())


def are_finite(network_params: Any, metrics: dict[str, jax.Array]) -> jax.Array:
    """Whether all parameters and losses are finite, `[S]` bool; both have a leading axis S."""
    losses = [values for name, values in metrics.items() if "loss" in name]
    leaves = [leaf for leaf in jax.tree.leaves(network_params) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    finite = [jnp.isfinite(leaf).reshape(len(leaf), -1).all(axis=1) for leaf in (*leaves, *losses) if leaf.size]
    return jnp.stack(finite).all(axis=0)


def _copy(arrays: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in arrays.items()}
