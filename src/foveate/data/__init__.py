"""Images and where to look in them: generated scenes, folders by class, public data sets, shards.

What was downloaded is read as it is: archives in place, shards from a disk or from elsewhere.
Importing this package needs torch and numpy only; Pillow, torchvision, scipy and fsspec load when
files that need them are read.
"""

from foveate.data.samples import Annotation, Batch, ImageDataset, Sample, Unreadable, collate
from foveate.data.scan import find_unreadable
from foveate.data.scenes import SceneOptions, Scenes
from foveate.data.sources import SOURCES, open_dataset, open_images, parse_source

__all__ = [
    "SOURCES",
    "Annotation",
    "Batch",
    "ImageDataset",
    "Sample",
    "SceneOptions",
    "Scenes",
    "Unreadable",
    "collate",
    "find_unreadable",
    "open_dataset",
    "open_images",
    "parse_source",
]
