"""The filters of the dialect: an allow list. Names and behaviour are Liquid's where Liquid has them."""

from collections.abc import Callable, Mapping

from tabellion.platform.templates.filters import dates, lists, numbers, texts

Filter = Callable[..., object]

FILTERS: Mapping[str, Filter] = {**texts.FILTERS, **lists.FILTERS, **numbers.FILTERS, **dates.FILTERS}
