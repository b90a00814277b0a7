"""Generated scenes: a small salient object among clutter, and a cue near it or far away."""

from foveate.data.scenes.dataset import Scenes
from foveate.data.scenes.layout import Scene
from foveate.data.scenes.options import SceneOptions

__all__ = ["Scene", "SceneOptions", "Scenes"]
