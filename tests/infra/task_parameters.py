"""What a state asks of an AWS service, held against the service's API model: members, lengths, ranges, patterns, values."""

import re

from botocore.session import Session

# Of Step Functions' optimised integrations: service in the resource → service of botocore.
_SERVICES = {"states": "stepfunctions"}
_INTEGRATION = re.compile(r"arn:aws:states:::(?P<service>\w+):(?P<action>\w+?)(\.\w+)?$")


def tasks(definition):
    """(name, resource, parameters) of everything in a definition that calls AWS, inside maps too."""
    for name, state in definition["States"].items():
        if state["Type"] == "Task":
            yield name, state["Resource"], state["Parameters"]
        if reader := state.get("ItemReader"):
            yield f"{name}.ItemReader", reader["Resource"], reader["Parameters"]
        if processor := state.get("ItemProcessor"):
            yield from tasks(processor)


def complaints(resource, parameters):
    """What the service would refuse. A member whose name ends in .$ comes from the input: its value is not looked at."""
    match = _INTEGRATION.fullmatch(resource)
    service = _SERVICES.get(match["service"], match["service"])
    model = Session().get_service_model(service)
    operation = model.operation_model(match["action"][0].upper() + match["action"][1:])
    return list(_complaints(operation.input_shape, parameters, operation.name))


def _complaints(shape, value, path):
    if shape.type_name == "structure":
        named = {_member(shape, name.removesuffix(".$")): (name.endswith(".$"), each) for name, each in value.items()}
        yield from (f"{path} lacks {name}" for name in shape.required_members if name not in named)
        for name, (dynamic, each) in named.items():
            if name not in shape.members:
                yield f"{path} has no {name}"
            elif not dynamic:
                yield from _complaints(shape.members[name], each, f"{path}.{name}")
    elif shape.type_name == "list":
        yield from _range(shape, len(value), path)
        for number, each in enumerate(value):
            yield from _complaints(shape.member, each, f"{path}[{number}]")
    elif shape.type_name == "map":
        yield from _range(shape, len(value), path)
        for key, each in value.items():
            yield from _complaints(shape.key, key, f"{path} key")
            yield from _complaints(shape.value, each, f"{path}.{key}")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _range(shape, len(value), path)
        if (pattern := shape.metadata.get("pattern")) and not re.fullmatch(_python(pattern), value):
            yield f"{path} is {value!r}, not {pattern}"
        if (values := shape.metadata.get("enum")) and value not in values:
            yield f"{path} is {value!r}, none of {values}"
    elif shape.type_name in {"integer", "long"} and isinstance(value, int):
        yield from _range(shape, value, path)
    elif shape.type_name not in {"blob", "boolean", "string"} or (shape.type_name == "string" and not isinstance(value, dict)):
        # A payload is a string or bytes to the API, and an object to Step Functions, which turns it into text.
        yield f"{path} is {value!r}, no {shape.type_name}"


def _member(shape, name):
    """Step Functions begins every name with a capital, whether or not the service does."""
    small = name[0].lower() + name[1:]
    return small if small in shape.members else name


def _python(pattern):
    """Java's classes of Unicode characters, as near as Python's come: letters and digits, spaces."""
    return re.sub(r"\\p\{[LN]\}", r"\\w", pattern).replace(r"\p{Z}", r"\s")


def _range(shape, number, path):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and number < least) or (most is not None and number > most):
        yield f"{path} is {number}, not {least} to {most}"
