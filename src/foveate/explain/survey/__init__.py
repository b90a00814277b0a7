"""Scores of many images and several networks: a table that streams to the disk, and its summary."""

from foveate.explain.survey.settings import Grid, SurveySettings, default_layers
from foveate.explain.survey.stream import survey
from foveate.explain.survey.summary import summarize

__all__ = ["Grid", "SurveySettings", "default_layers", "summarize", "survey"]
