"""Data that outgrow a disk: images in tar shards, in WebDataset's form, with an index."""

from foveate.data.shards.dataset import ShardDataset, open_shards
from foveate.data.shards.index import Shard, ShardIndex

__all__ = ["Shard", "ShardDataset", "ShardIndex", "open_shards"]
