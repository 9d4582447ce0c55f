"""From a campaign's source to the parts of a mail: checked and prepared once, rendered for each recipient.

Everything that reads what customers wrote runs in a caged process; see `Cages`.
"""

from tabellion.platform.templates.cage import CageUnavailable, Limits
from tabellion.platform.templates.cages import Cages
from tabellion.platform.templates.checklist import MAX_HTML_BYTES, Finding, Severity, checklist, error, large, warning
from tabellion.platform.templates.documents import Content, Mistake, Prepared, Report
from tabellion.platform.templates.images import Image
from tabellion.platform.templates.links import Link, fill_links, mark_links, new_mark
from tabellion.platform.templates.references import address_text
from tabellion.platform.templates.template import Failed, Outcome, Part, PartKind, Reason, Rendered, Template
from tabellion.platform.templates.text_links import fill_text_links, mark_text_links
from tabellion.platform.templates.vocabulary import Kind, Row, Rows, Shape, Values, Vocabulary, vocabulary

__all__ = [
    "MAX_HTML_BYTES",
    "CageUnavailable",
    "Cages",
    "Content",
    "Failed",
    "Finding",
    "Image",
    "Kind",
    "Limits",
    "Link",
    "Mistake",
    "Outcome",
    "Part",
    "PartKind",
    "Prepared",
    "Reason",
    "Rendered",
    "Report",
    "Row",
    "Rows",
    "Severity",
    "Shape",
    "Template",
    "Values",
    "Vocabulary",
    "address_text",
    "checklist",
    "error",
    "fill_links",
    "fill_text_links",
    "large",
    "mark_links",
    "mark_text_links",
    "new_mark",
    "vocabulary",
    "warning",
]
