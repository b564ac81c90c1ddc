"""All oracles, and the reasons of the entries that have none.

Nothing here is derived from the catalogue or imports the package under test.
"""

from __future__ import annotations

import cells
import layers
import losses
import matrices
import measures
import networks
import probability
import reinforcement
import training

MODULES = (cells, layers, losses, matrices, measures, networks, probability, reinforcement, training)
ORACLES = tuple(oracle for module in MODULES for oracle in module.ORACLES)

UNCOMPARED: dict[str, str] = {}
