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
from local.emulator.surroundings import replace

# Source: sagemaker-runtime API model, InvokeEndpointAsync (botocore 1.44.5).
_DEFAULT_TTL_SECONDS: Final = 21_600
_DEFAULT_TIMEOUT_SECONDS: Final = 900
# Source: SageMaker developer guide, "Real-time inference": an answer within 60 s.
_REAL_TIME_SECONDS: Final = 60

_Answer = tuple[int, dict[str, str], str | bytes]


def install(endpoints: Endpoints, async_inference: AsyncInference) -> None:
    def invoke_endpoint(self: SageMakerRuntimeResponse) -> _Answer:
        container = _container(endpoints, self)
        if "AsyncInferenceConfig" in container.config:
            raise JsonRESTError("ValidationError", "this endpoint is asynchronous; call InvokeEndpointAsync")
        try:
            status, body = container.invoke(self.body, _headers_for_the_container(self.headers), _REAL_TIME_SECONDS)
        except ContainerError as error:
            raise JsonRESTError("ServiceUnavailable", str(error)) from error
        if status != 200:
            return _model_error(status, body)
        return 200, {"Content-Type": "application/json", "x-Amzn-Invoked-Production-Variant": "AllTraffic"}, body

    def invoke_endpoint_async(self: SageMakerRuntimeResponse) -> _Answer:
        container = _container(endpoints, self)
        if "AsyncInferenceConfig" not in container.config:
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


def _model_error(status: int, body: bytes) -> _Answer:
    document = {"OriginalStatusCode": status, "OriginalMessage": body.decode("utf-8", "replace"), "Message": "model error"}
    # moto takes the status from the headers.
    return 424, {"status": "424", "x-amzn-errortype": "ModelError", "Content-Type": "application/json"}, json.dumps(document)
