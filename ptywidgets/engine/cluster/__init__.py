"""A reconstruction on several processes or machines: the scan in shards, each held by a worker of `dask.distributed`.

The object's and the probe's gradients are sums over positions, and so are the loss and its curvatures. A worker adds up
those of its shard, where the patterns are; the state goes out, the sums come back, and nothing else has to know:
:class:`ClusterProblem` is a problem like any other. `distributed` is imported when a client is given, and not before.
"""

from __future__ import annotations

from ptywidgets.engine.cluster.client import check_client
from ptywidgets.engine.cluster.cluster_problem import ClusterProblem, on_cluster

__all__ = ["ClusterProblem", "check_client", "on_cluster"]
