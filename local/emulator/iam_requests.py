"""What IAM decides on when a request comes in: actions, each on the ARN of a resource.

Source: Service Authorization Reference, the pages of each service. Some requests need more than the action that they are named
after, and some an action of another name.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote

from local.emulator.surroundings import ACCOUNT, REGION


class Access(NamedTuple):
    """action: such as 's3:GetObject'. resource: an ARN, or '*' where the action knows no resource."""

    action: str
    resource: str


def accesses(response: Any, resource: str) -> list[Access]:
    """response: moto's, set up with its request. resource: the ARN that moto found, which it does for S3 and SQS only."""
    service = response.service_name
    if service == "s3":
        return list(_s3(response, resource))
    find = _RESOURCES.get(service)
    request = f"{_PREFIXES.get(service, service)}:{response._get_action()}"
    return [Access(_ACTIONS.get(request, request), find(response) if find else resource)]


def _s3(response: Any, resource: str) -> Iterator[Access]:
    bucket_arn, _, key = resource.partition("/")
    query: Mapping[str, Any] = parse_qs(response.parsed_url.query, keep_blank_values=True)
    action = response.data["Action"]
    if action == "GetObject" and "versionId" in query:
        action = "GetObjectVersion"  # HeadObject, too
    if action == "HeadBucket":
        action = "ListBucket"
    yield Access(f"s3:{action}", resource)
    if action.startswith("GetObject") and key:
        yield from _whether_it_is_there(response, bucket_arn, key, query.get("versionId", [None])[0])
    if source := response.headers.get("x-amz-copy-source"):
        path, _, version = source.lstrip("/").partition("?versionId=")
        arn = f"arn:aws:s3:::{unquote(path)}"
        yield Access("s3:GetObjectVersion" if version else "s3:GetObject", arn)
        source_bucket, _, source_key = arn.partition("/")
        yield from _whether_it_is_there(response, source_bucket, source_key, version or None)


def _whether_it_is_there(response: Any, bucket_arn: str, key: str, version: str | None) -> Iterator[Access]:
    """S3 tells that an object is missing only to those who may list the bucket; others are forbidden to read it."""
    if response.backend.get_object(bucket_arn.rpartition(":")[2], key, version) is None:
        yield Access("s3:ListBucket", bucket_arn)


def _table(response: Any) -> str:
    # A request for many rows names its tables by their keys, and ours ask one table at a time.
    name = str(response._get_param("TableName") or next(iter(response._get_param("RequestItems") or {}), ""))
    table = name if name.startswith("arn:") else f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
    index = response._get_param("IndexName")
    return f"{table}/index/{index}" if index else table


def _endpoint(name: str) -> str:
    # SageMaker lowers the name in the ARN.
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{name.lower()}"


def _of_sagemaker(response: Any) -> str:
    if job := response._get_param("TransformJobName"):
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:transform-job/{job.lower()}"
    endpoint = response._get_param("EndpointName")
    return _endpoint(endpoint) if endpoint else "*"


def _function(response: Any) -> str:
    name = unquote(response.path.split("/functions/")[1].split("/")[0])
    return name if name.startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def _of_step_functions(response: Any) -> str:
    return str(response._get_param("executionArn") or response._get_param("stateMachineArn") or "*")


# Of the services whose requests name a resource. moto's name of the service → the ARN.
_RESOURCES: Final[Mapping[str, Callable[[Any], str]]] = {
    "awslambda": _function,
    "dynamodb": _table,
    "sagemaker": _of_sagemaker,
    "sagemaker-runtime": lambda response: _endpoint(unquote(response.path.split("/")[2])),
    "sns": lambda response: str(response._get_param("TopicArn")),
    "stepfunctions": _of_step_functions,
}

# moto's name of a service → the prefix of its actions in policies, where they differ.
_PREFIXES: Final[Mapping[str, str]] = {"awslambda": "lambda", "sagemaker-runtime": "sagemaker", "stepfunctions": "states"}

# Of the requests that are not named after it.
_ACTIONS: Final[Mapping[str, str]] = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}
