r"""Detectors on gated backbones: train, evaluate, predict, compare.

Example:
    foveate scenes data/scenes --count 2000 --val 400
    foveate detect train recipes/detection/scenes-resnet18.toml --set model.attention=das \
      --data data/scenes --out runs/das
    foveate detect predict runs/das photos --out found
"""
