"""Images that belong to no class: one file, or all in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from foveate.core import Words, expected
from foveate.data.files import FileDataset
from foveate.data.folder import image_files
from foveate.data.images import EXTENSIONS, image_bytes
from foveate.data.samples import check_index

_WHO = "open_images"


class LooseImages(FileDataset):
    """Image files without classes: ``classes`` is empty and every label is -1.

    Args:
        root: An image file, or a folder: the images in it and below, hidden ones left out,
            naturally sorted.

    Raises:
        ValueError: If there is nothing, no image, or a file that is none by its name.
    """

    def __init__(self, root: Path) -> None:
        kinds = ", ".join(extension[1:] for extension in EXTENSIONS)
        self.classes = ()
        if root.is_dir():
            self.folder, self.paths = root, tuple(image_files(root))
            if not self.paths:
                raise ValueError(expected(_WHO, f"images ({kinds})", Words(f"none in {root}")))
            return
        if not root.is_file():
            raise ValueError(expected(_WHO, "a file or a folder that exists", str(root)))
        if not root.name.lower().endswith(EXTENSIONS):
            remedy = f"write coco:{root}" if root.suffix.lower() == ".json" else "convert it"
            raise ValueError(expected(_WHO, f"an image file ({kinds})", str(root), remedy))
        self.folder, self.paths = root.parent, (root,)

    @property
    def labels(self) -> Sequence[int]:
        """-1 for each image."""
        return (-1,) * len(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def name_of(self, index: int) -> str:
        """Return the path of the file."""
        return str(self.paths[check_index(index, len(self))])

    def key_of(self, index: int) -> str:
        """Return the path of the file inside the folder."""
        return self.paths[index].relative_to(self.folder).as_posix()

    def read_bytes(self, index: int) -> bytes:
        """Return what the file holds."""
        return image_bytes(self.paths[index])
