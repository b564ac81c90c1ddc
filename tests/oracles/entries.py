"""All oracles, and the reasons of the entries that have none.

Nothing here is derived from the catalogue or imports the package under test.
"""

from __future__ import annotations

import core
import losses
import measures
import networks
import training

ORACLES = (*core.ORACLES, *networks.ORACLES, *losses.ORACLES, *training.ORACLES, *measures.ORACLES)

UNCOMPARED: dict[str, str] = {}
