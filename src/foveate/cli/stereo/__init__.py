"""Stereo networks on gated backbones: make pairs, train, evaluate, predict, compare.

Example:
    foveate stereo scenes data/pairs --count 400 --val 100
    foveate stereo train recipes/stereo/scenes-resnet18.toml --set model.attention=das
    foveate stereo predict runs/das --left data/pairs/val/left --right data/pairs/val/right
"""
