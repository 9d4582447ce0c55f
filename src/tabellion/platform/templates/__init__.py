"""From a campaign's source to the parts of a mail: checked and prepared once, rendered for each recipient.

Everything that reads what customers wrote runs in a caged process; see `Cages`.
"""

from tabellion.platform.templates.cage import CageUnavailable, Limits
from tabellion.platform.templates.cages import Cages
from tabellion.platform.templates.check import Problem, Report, check
from tabellion.platform.templates.dialect import PartKind, SettingUnknown
from tabellion.platform.templates.template import Failed, Outcome, Part, Reason, Rendered, Template
from tabellion.platform.templates.vocabulary import Kind, Row, Rows, Shape, Values, Vocabulary, vocabulary

__all__ = [
    "CageUnavailable",
    "Cages",
    "Failed",
    "Kind",
    "Limits",
    "Outcome",
    "Part",
    "PartKind",
    "Problem",
    "Reason",
    "Rendered",
    "Report",
    "Row",
    "Rows",
    "SettingUnknown",
    "Shape",
    "Template",
    "Values",
    "Vocabulary",
    "check",
    "vocabulary",
]
