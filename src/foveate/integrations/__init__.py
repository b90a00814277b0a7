"""Doors to other people's frameworks; each is a module of its own, imported by who wants it."""
