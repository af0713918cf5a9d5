"""Dense layers as all networks here have them."""

from functools import partial

from flax import linen as nn

INITIAL_KERNEL = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")
Dense = partial(nn.Dense, kernel_init=INITIAL_KERNEL)
