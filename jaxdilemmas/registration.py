"""Ids of games and functions that build games. Each id is typed once, here; its module is imported on first use.

`make` is for ids that a caller writes: it imports the module of "module:Class". `make_registered` is for ids from a
file: it imports only registered games.
"""

import difflib
import importlib
import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxdilemmas.environment import Environment

Factory = Callable[..., "Environment"]

_FACTORIES: dict[str, str | Factory] = {
    "cleanup": "jaxdilemmas.envs.cleanup:Cleanup",
    "cleanup_gallego": "jaxdilemmas.envs.cleanup_gallego:CleanupGallego",
    "cleanup_meltingpot": "jaxdilemmas.envs.cleanup_meltingpot:CleanupMeltingPot",
    "coin_game": "jaxdilemmas.envs.coin_game:CoinGame",
    "coins": "jaxdilemmas.envs.coins:Coins",
    "common_pool": "jaxdilemmas.envs.common_pool:CommonPool",
    "common_pool_network": "jaxdilemmas.envs.common_pool_network:CommonPoolNetwork",
    "commons": "jaxdilemmas.envs.commons:Commons",
    "commons_gallego": "jaxdilemmas.envs.gallego:CommonsGallego",
    "coop_mining": "jaxdilemmas.envs.coop_mining:CoopMining",
    "externality_mushrooms": "jaxdilemmas.envs.externality_mushrooms:ExternalityMushrooms",
    "gathering": "jaxdilemmas.envs.gathering:Gathering",
    "gathering_gallego": "jaxdilemmas.envs.gallego:GatheringGallego",
    "gems": "jaxdilemmas.envs.gems:Gems",
    "gift_refinements": "jaxdilemmas.envs.gift_refinements:GiftRefinements",
    "harvest": "jaxdilemmas.envs.harvest:Harvest",
    "in_the_matrix": "jaxdilemmas.envs.in_the_matrix:InTheMatrix",
    "intersection": "jaxdilemmas.envs.intersection:Intersection",
    "level_based_foraging": "jaxdilemmas.envs.level_based_foraging:LevelBasedForaging",
    "matrix_game": "jaxdilemmas.envs.matrix_game:MatrixGame",
    "overcooked": "jaxdilemmas.envs.overcooked:Overcooked",
    "territory": "jaxdilemmas.envs.territory:Territory",
}


def registered_envs() -> list[str]:
    """Returns the registered ids in alphabetical order."""
    return sorted(_FACTORIES)


def register(env_id: str, factory: Factory) -> None:
    """Registers your own game under an id, so that `make` finds it in this process.

    A command starts its own process; give it the class itself, as `make` explains.

    Args:
      env_id: the name for `make`: letters, digits, `_`, `-` and `.`.
      factory: a subclass of `jaxdilemmas.Environment`, or a function that returns an instance of one. It is called with
        the keyword arguments of `make`.

    Raises:
      ValueError: the id is registered already or is not such a name; `factory` cannot be called, or is a class of
        another kind.
    """
    if isinstance(env_id, str) and ":" in env_id:
        raise _refusal("env_id", env_id, "a colon stands for module:Class, which needs no registration")
    if not isinstance(env_id, str) or not re.fullmatch(r"[\w.-]+", env_id):
        raise _refusal("env_id", env_id, "a string of letters, digits, _, - and .")
    if env_id in _FACTORIES:
        raise _refusal("env_id", env_id, f"it is registered already; registered ids are {', '.join(registered_envs())}")
    _check_factory(factory)
    _FACTORIES[env_id] = factory


def make(env_id: str, **kwargs: Any) -> "Environment":
    """Builds a game.

    The module of "module:Class" is imported and its code runs, so this id must come from the caller. For an id from a
    file use `jaxdilemmas.registration.make_registered`.

    Args:
      env_id: one of `registered_envs()`, or "module:Class" of a subclass of `jaxdilemmas.Environment` in any module,
        such as "my_package.my_game:MyGame". Functions are not called.
      **kwargs: arguments that fix a shape or a loop (`num_agents`, `map`, `observation`, ...), and any field of the
        game's `Params`, which then changes `default_params`.

    Returns:
      The environment; see `jaxdilemmas.Environment` for the contract.

    Raises:
      ValueError: the id is unknown (the error names the nearest registered id), the module cannot be imported, the
        class is not a subclass of `Environment`, a keyword is unknown, or a value is not allowed.
    """
    if isinstance(env_id, str) and ":" in env_id:
        return _import_game(env_id)(**kwargs)
    return make_registered(env_id, **kwargs)


def make_registered(env_id: str, **kwargs: Any) -> "Environment":
    """Builds a registered game, as `make` does, but for an id from a file, which must not run code.

    Args:
      env_id: one of `registered_envs()`. "module:Class" is refused, and its module is not imported.
      **kwargs: the keyword arguments of `make`.

    Returns:
      The environment.

    Raises:
      ValueError: the id is not registered, or a keyword or value is not allowed.
    """
    env = registered_class(env_id)(**kwargs)
    if not isinstance(env, _environment_class()):
        allowed = f"its factory returned a {type(env).__name__}, not a jaxdilemmas.Environment"
        raise _refusal("env_id", env_id, allowed)
    return env


def registered_class(env_id: str) -> Factory:
    """Returns the class (or the factory) of a registered game without building the game.

    Args:
      env_id: one of `registered_envs()`; only the module of this game is imported.

    Raises:
      ValueError: the id is not registered; the error names the nearest registered id.
    """
    known = ", ".join(registered_envs())
    if not isinstance(env_id, str):
        raise _refusal("env_id", env_id, f"the id of a game, one of {known}")
    if ":" in env_id:
        own = "For your own class write its id as an argument or option, or call jaxdilemmas.register first"
        raise _refusal("env_id", env_id, f"only a registered game is allowed, one of {known}. {own}")
    if env_id not in _FACTORIES:
        raise _refusal("env_id", env_id, f"it is unknown{_hint(env_id)} Known ids are {known}")
    factory = _FACTORIES[env_id]
    return _import_game(factory) if isinstance(factory, str) else factory


def _hint(env_id: str) -> str:
    """Returns a suggestion for an unknown id: the caller's own class, or the nearest registered id."""
    if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", env_id):
        return f"; did you mean {':'.join(env_id.rsplit('.', 1))!r}? The id of your own class is module:Class."
    nearest = difflib.get_close_matches(env_id, _FACTORIES, n=1, cutoff=0.0)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def _import_game(path: str) -> Factory:
    """Imports the game at "module:Class"."""
    module, _, name = path.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise _refusal("env_id", path, "module:Class, such as 'my_package.my_game:MyGame'")
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # the caller's module may raise any error
        raise _refusal("env_id", path, _why_not_imported(module, error)) from error
    if not hasattr(imported, name):
        raise _refusal("env_id", path, f"module {module!r} has no attribute {name!r}")
    game = getattr(imported, name)
    _check_is_game("env_id", game, path)
    return game


def _why_not_imported(module: str, error: Exception) -> str:
    """The reason why `module` was not imported; if it was not found at all, also where Python searches for modules."""
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return (
            f"No module named {error.name!r}. Python searches the current directory (when started with `python -m`), "
            f"the directory of the script (when started with a script), those in PYTHONPATH and installed packages"
        )
    return f"importing {module!r} raised {type(error).__name__}: {error}"


def _check_factory(factory: Any) -> None:
    """Raises a ValueError unless `factory` is a class of games or a function; it is not called."""
    if not callable(factory):
        allowed = "a subclass of jaxdilemmas.Environment, or a function that returns an instance of one"
        raise _refusal("factory", factory, allowed)
    if inspect.isclass(factory):
        _check_is_game("factory", factory)


def _check_is_game(argument: str, game: Any, path: str | None = None) -> None:
    """Raises a ValueError unless `game` is a class of games that can be built; the check calls nothing of it."""
    value, name = game if path is None else path, getattr(game, "__name__", path)
    if not inspect.isclass(game) or not issubclass(game, _environment_class()):
        kind = "a class of another kind" if inspect.isclass(game) else f"a {type(game).__name__}"
        raise _refusal(argument, value, f"{name} is {kind}, not a subclass of jaxdilemmas.Environment")
    if inspect.isabstract(game):
        missing = ", ".join(sorted(getattr(game, "__abstractmethods__", ())))
        raise _refusal(argument, value, f"{name} is abstract: it does not define {missing}")


def _refusal(argument: str, value: Any, allowed: str) -> ValueError:
    """The error that names the allowed values. `arguments` imports jax, so it is imported only here."""
    from jaxdilemmas.arguments import refusal

    return ValueError(refusal(argument, value, allowed))


def _environment_class() -> type:
    """`jaxdilemmas.Environment`, imported on first use, because it imports jax."""
    from jaxdilemmas.environment import Environment

    return Environment
