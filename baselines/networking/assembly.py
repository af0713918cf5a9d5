"""Teams of agents from several trained models."""

import jax
import jax.numpy as jnp
import numpy as np

from baselines.networking.protocols import Params
from jaxdilemmas.arguments import numbers_from, require
from jaxdilemmas.graphs import Edges


def assemble(models: Params, model_of_agent: jax.Array, edges: Edges) -> Params:
    """Makes a team of agents from several trained models.

    Args:
      models: their parameters, leaves `[M, N, ...]` of agents and `[M, E, ...]` of edges.
      model_of_agent: `[N]` int32, from which of the M models agent i comes, in the place that it was trained for. Edges
        that it receives come with it.
      edges: of the graph that the models were trained on; not used for protocols without neighbours.

    Returns:
      Parameters as of one model.

    Raises:
      ValueError: `models` are no such parameters, or there is no model of that number.
    """
    is_fit = isinstance(models, dict) and set(models) == {"agents", "edges"}
    require(is_fit, "models", models, "parameters of models, a dict with agents and edges")
    num_models, num_agents = jax.tree.leaves(models["agents"])[0].shape[:2]
    chosen = numbers_from(model_of_agent)
    is_fit = chosen is not None and chosen.shape == (num_agents,) and bool(np.isin(chosen, range(num_models)).all())
    allowed = f"{num_agents} whole numbers from 0 to {num_models - 1}"
    require(is_fit, "model_of_agent", model_of_agent, allowed)
    model_of_agent = jnp.asarray(model_of_agent)
    rows = {"agents": model_of_agent, "edges": model_of_agent[edges.receivers]}
    return {
        owner: jax.tree.map(lambda leaf, index=index: leaf[index, jnp.arange(len(index))], models[owner])
        for owner, index in rows.items()
    }
