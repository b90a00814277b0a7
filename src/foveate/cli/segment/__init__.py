"""Semantic segmentation on gated backbones: train, evaluate, predict, compare.

Example:
    foveate segment train recipes/segmentation/scenes-resnet18.toml --out runs/fpn
    foveate segment predict runs/fpn photos --out found
"""
