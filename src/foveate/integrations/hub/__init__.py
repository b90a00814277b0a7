"""Networks on the Hugging Face Hub, or in a folder of the same form.

Example:
    >>> import tempfile, foveate
    >>> network = foveate.create_model("resnet10t", "das", num_classes=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = HubModel(network).save_pretrained(folder)
    ...     again = HubModel.from_pretrained(folder)
    >>> again(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 3])
"""

from foveate.integrations.hub.card import model_card
from foveate.integrations.hub.sharing import HubModel

__all__ = ["HubModel", "model_card"]
