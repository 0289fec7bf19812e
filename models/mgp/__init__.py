"""A multi-task Gaussian process over irregular observations."""

from models.mgp.kernel import Kernel as Kernel
from models.mgp.posterior import Posterior as Posterior
from models.mgp.posterior import posterior as posterior
