"""InvokeEndpoint and InvokeEndpointAsync, answered by the endpoint's own container instead of with canned data."""

import json
import uuid
from typing import Any, Final
from urllib.parse import unquote

from moto.core.exceptions import JsonRESTError
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from local.emulator.async_inference import AsyncInference, AsyncRequest
from local.emulator.containers import ContainerError
from local.emulator.endpoints import Container, Endpoints
from local.emulator.surroundings import UnexpectedMotoError, replace
from whisperstack_contract.limits import REALTIME_INVOCATION_TIMEOUT_SECONDS, REALTIME_PAYLOAD_BYTES

# Source: sagemaker-runtime API model, InvokeEndpointAsync (botocore 1.44.5).
_DEFAULT_TTL_SECONDS: Final = 21_600
_DEFAULT_TIMEOUT_SECONDS: Final = 900

_Answer = tuple[int, dict[str, str], str | bytes]


def install(endpoints: Endpoints, async_inference: AsyncInference) -> None:
    def invoke_endpoint(self: SageMakerRuntimeResponse) -> _Answer:
        container = _container(endpoints, self)
        # moto keeps an empty one for an endpoint that is not.
        if container.config.get("AsyncInferenceConfig"):
            raise JsonRESTError("ValidationError", "this endpoint is asynchronous; call InvokeEndpointAsync")
        if len(self.body) > REALTIME_PAYLOAD_BYTES:
            return _too_large(len(self.body))
        headers = _headers_for_the_container(self.headers)
        try:
            status, body = container.invoke(self.body, headers, REALTIME_INVOCATION_TIMEOUT_SECONDS)
        except ContainerError as error:
            raise JsonRESTError("ServiceUnavailable", str(error)) from error
        if status != 200:
            return _model_error(status, body)
        variant = container.config["ProductionVariants"][0]["VariantName"]
        return 200, {"Content-Type": "application/json", "x-Amzn-Invoked-Production-Variant": variant}, body

    def invoke_endpoint_async(self: SageMakerRuntimeResponse) -> _Answer:
        container = _container(endpoints, self)
        if not container.config.get("AsyncInferenceConfig"):
            raise JsonRESTError("ValidationError", "this endpoint is not asynchronous; call InvokeEndpoint")
        header = {name.lower(): value for name, value in self.headers.items()}
        prefix = "x-amzn-sagemaker-"
        output, failure = async_inference.locations(
            container, header.get(f"{prefix}s3outputpathextension"), header.get(f"{prefix}filename")
        )
        request = AsyncRequest(
            inference_id=header.get(f"{prefix}inference-id") or str(uuid.uuid4()),
            input_location=header[f"{prefix}inputlocation"],
            output_location=output,
            failure_location=failure,
            content_type=header.get(f"{prefix}content-type", "application/octet-stream"),
            accept=header.get(f"{prefix}accept", "*/*"),
            custom_attributes=header.get(f"{prefix}custom-attributes", ""),
            ttl_seconds=float(header.get(f"{prefix}requestttlseconds", _DEFAULT_TTL_SECONDS)),
            timeout_seconds=float(header.get(f"{prefix}invocationtimeoutseconds", _DEFAULT_TIMEOUT_SECONDS)),
        )
        async_inference.submit(container, request)
        locations = {"status": "202", "X-Amzn-SageMaker-OutputLocation": output, "X-Amzn-SageMaker-FailureLocation": failure}
        return 202, locations, json.dumps({"InferenceId": request.inference_id})

    if not hasattr(SageMakerRuntimeResponse, "use_raw_body"):
        raise UnexpectedMotoError("moto's responses have no 'use_raw_body'; install the moto version in requirements-dev.txt")
    # A recording is no text, which moto takes every body for.
    SageMakerRuntimeResponse.use_raw_body = True
    replace(SageMakerRuntimeResponse, "invoke_endpoint", invoke_endpoint)
    replace(SageMakerRuntimeResponse, "invoke_endpoint_async", invoke_endpoint_async)


def _container(endpoints: Endpoints, response: SageMakerRuntimeResponse) -> Container:
    name = unquote(response.path.split("/")[2])
    try:
        return endpoints.container(name)
    except KeyError as error:
        raise JsonRESTError("ValidationError", f"Endpoint {name} of account not found.") from error


def _headers_for_the_container(headers: Any) -> dict[str, str]:
    kept = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id")
    return {name: value for name, value in headers.items() if name.lower() in kept}


def _too_large(body_bytes: int) -> _Answer:
    """As the service refuses a body before any container sees it: with a status and no error type."""
    message = f"the request has {body_bytes} bytes; the limit is {REALTIME_PAYLOAD_BYTES}; use asynchronous inference"
    return 413, {"status": "413", "Content-Type": "application/json"}, json.dumps({"message": message})


def _model_error(status: int, body: bytes) -> _Answer:
    original = body.decode("utf-8", "replace")
    side = "client" if status < 500 else "server"
    document = {
        "OriginalStatusCode": status,
        "OriginalMessage": original,
        "Message": f'Received {side} error ({status}) from primary with message "{original}".',
    }
    # moto takes the status from the headers.
    return 424, {"status": "424", "x-amzn-errortype": "ModelError", "Content-Type": "application/json"}, json.dumps(document)
