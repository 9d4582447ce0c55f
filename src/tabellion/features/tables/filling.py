"""From the documents of the structure calls to the plan of a table."""

from tabellion.features.tables.model import Attribute
from tabellion.features.tables.operations import complete
from tabellion.features.tables.profile_plan import ProfilePlan
from tabellion.features.tables.types.predefined import EMAIL_ADDRESS, PREDEFINED
from tabellion.features.tables.wire import (
    ChangeRequest,
    Changes,
    NewAttribute,
    NewSegmentation,
    Operation,
    Restriction,
    SubscriptionV5,
    TableIn,
    is_technical,
)


def fill_table(plan: ProfilePlan, body: TableIn) -> None:
    """Put the parts of a new table into the plan."""
    for index, attribute in enumerate(body.attributes):
        if not is_technical(attribute):
            plan.add_attribute(f"attributes[{index}]", to_attribute(attribute), is_new_table=True)
    for index, subscription in enumerate(body.subscriptions):
        path = f"subscriptions[{index}]"
        plan.add_subscription(path, subscription.name, subscription.display_name, subscription.description)
    for index, segmentation in enumerate(body.segmentations):
        plan.add_segmentation(f"segmentations[{index}]", segmentation.name, segmentation.type, segmentation.categories)
    plan.present(body.display_options, body.layout)


_NEEDS = {
    "addAttribute": ("attribute",),
    "updateAttribute": ("name", "changes"),
    "removeAttribute": ("name",),
    "addSubscription": ("subscription",),
    "removeSubscription": ("name",),
    "addSegmentation": ("segmentation",),
    "updateSegmentation": ("name", "changes"),
    "removeSegmentation": ("name",),
    "rename": ("name",),
}


def fill_changes(plan: ProfilePlan, body: ChangeRequest) -> None:
    """Put the operations of a change request into the plan."""
    for path, operation in complete(plan, body.operations, _NEEDS):
        _perform(plan, operation, path)


def _perform(plan: ProfilePlan, operation: Operation, path: str) -> None:
    name, changes = operation.name or "", operation.changes or Changes()
    match operation.operation, operation:
        case "addAttribute", Operation(attribute=NewAttribute() as attribute):
            plan.add_attribute(f"{path}.attribute", to_attribute(attribute))
        case "updateAttribute", _:
            _update_attribute(plan, path, name, changes)
        case "removeAttribute", _:
            plan.remove_attribute(path, name)
        case "addSubscription", Operation(subscription=SubscriptionV5() as new):
            plan.add_subscription(f"{path}.subscription", new.name, new.display_name, new.description)
        case "removeSubscription", _:
            plan.remove_subscription(path, name)
        case "addSegmentation", Operation(segmentation=NewSegmentation() as new):
            plan.add_segmentation(f"{path}.segmentation", new.name, new.type, new.categories)
        case "updateSegmentation", _:
            added, removed, renamed = changes.add_categories, changes.remove_categories, changes.rename_categories
            plan.update_segmentation(path, name, add=added, remove=removed, rename=renamed)
        case "removeSegmentation", _:
            plan.remove_segmentation(path, name)
        case _:
            plan.rename(f"{path}.name", name)


def _update_attribute(plan: ProfilePlan, path: str, name: str, changes: Changes) -> None:
    fixed = {
        "name": changes.name,
        "type": changes.type,
        "valueType": changes.value_type,
        "multiValued": changes.multi_valued,
    }
    restriction = changes.value_restriction
    model = restriction.to_model() if isinstance(restriction, Restriction) else restriction
    plan.update_attribute(path, name, mandatory=changes.mandatory, unique=changes.unique, restriction=model, fixed=fixed)


def to_attribute(body: NewAttribute) -> Attribute:
    """The model's form; the number is handed out by the plan. An e-mail address is mandatory and unique by default."""
    predefined = PREDEFINED.get(body.type)
    by_default = body.type == EMAIL_ADDRESS
    return Attribute(
        number=0,
        name=body.name,
        type=body.type,
        value_type=body.value_type or (predefined.value_type.name if predefined else ""),
        mandatory=by_default if body.mandatory is None else body.mandatory,
        unique=by_default if body.unique is None else body.unique,
        multi_valued=body.multi_valued,
        restriction=body.value_restriction.to_model() if body.value_restriction else None,
        default_value=body.default_value,
    )
