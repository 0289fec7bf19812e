"""A multi-task Gaussian process over irregular observations: exact, at a cost linear in their number."""

from models.mgp.kernel import Kernel as Kernel
from models.mgp.posterior import Observations as Observations
from models.mgp.posterior import Posterior as Posterior
from models.mgp.posterior import filtered as filtered
from models.mgp.posterior import posterior as posterior
from models.mgp.posterior import posteriors as posteriors
from models.mgp.streaming import State as State
