"""How programs are compiled in tests."""

import jax

HAS_OLD_EMITTERS = jax.__version_info__ < (0, 11)
"""Whether XLA is known to have the flag of the older emitters: it ends the program at a flag that it does not know."""

QUICK_FLAGS = " --xla_cpu_use_fusion_emitters=false" if HAS_OLD_EMITTERS else ""
"""The older emitters compile for a CPU in half the time. They add up in another order."""

USUAL_OPTIONS = {"xla_cpu_use_fusion_emitters": True} if HAS_OLD_EMITTERS else None
"""What is compared with recordings bit by bit is compiled as users compile it."""
