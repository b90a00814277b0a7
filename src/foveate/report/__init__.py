"""Tables, charts and the HTML report of a study, made from its folder alone."""

from foveate.report.explained import Explained, read_explained
from foveate.report.explained_html import write_explain_report
from foveate.report.explained_terminal import terminal_explanation
from foveate.report.html import write_report
from foveate.report.metric import Metric, metric_of
from foveate.report.reading import StudyRecord, read_study
from foveate.report.rows import Row, rows_of
from foveate.report.statistics import Comparison, Estimate, compare, estimate, holm
from foveate.report.table import terminal_tables
from foveate.report.wording import class_count, headline, legend

__all__ = [
    "Comparison",
    "Estimate",
    "Explained",
    "Metric",
    "Row",
    "StudyRecord",
    "class_count",
    "compare",
    "estimate",
    "headline",
    "holm",
    "legend",
    "metric_of",
    "read_explained",
    "read_study",
    "rows_of",
    "terminal_explanation",
    "terminal_tables",
    "write_explain_report",
    "write_report",
]
