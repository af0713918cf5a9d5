"""How arrays that somebody gave are checked, before anything is computed from them."""

from typing import Any

import numpy as np

from jaxdilemmas.arguments import require


def check_array(
    argument: str, value: Any, *axes: int | str, is_whole: bool = False, has_more_axes: bool = False
) -> np.ndarray:
    """Anything that NumPy makes an array of numbers of a given shape.

    Args:
      argument: its name.
      value: an array, or lists of numbers.
      *axes: the length of each axis, or a letter for any length.
      is_whole: whether the numbers must be whole; True and False count as 1 and 0.
      has_more_axes: whether any number of axes may stand before these.

    Returns:
      The array `[*axes]`, of its own dtype.

    Raises:
      ValueError: it is ragged, holds something else, or has another shape. The message shows the shape, or the value if
        it has none.
    """
    names = [*["..."] * has_more_axes, *map(str, axes)]
    allowed = f"{'whole ' if is_whole else ''}numbers of shape [{', '.join(names)}]"
    try:
        array = np.asarray(value)
    except Exception:  # ragged lists, traced arrays, keys: NumPy and JAX raise errors of many kinds
        array = np.array(None)
    require(array.dtype.kind in "biuf", argument, value, allowed)
    num_more = array.ndim - len(axes)
    is_fit = num_more == 0 or (has_more_axes and num_more > 0)
    is_fit = is_fit and all(axis in (size, str(axis)) for axis, size in zip(axes, array.shape[num_more:], strict=True))
    require(is_fit, argument, array.shape, allowed)
    if is_whole and array.dtype.kind == "f":
        for wrong in array[array != np.round(array)][:1]:
            require(False, argument, float(wrong), allowed)
    return array


def require_finite(argument: str, values: np.ndarray) -> None:
    """Raises a ValueError that names the argument and the first of its values `[...]` that is not finite."""
    for value in values[~np.isfinite(values)][:1]:
        require(False, argument, float(value), "all must be finite")
