"""Batch transform: jobs that really send each object of their input to model containers, and keep what comes back.

As SageMaker documents it: every instance gets its share of the objects and takes MaxConcurrentTransforms of them at a time; an
answer lies below S3OutputPath under the object's name and `.out`; an object that is too large, or that the model refuses,
makes the job `Failed` in the end, while the others are worked on and their outputs kept.
"""

import json
import logging
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.models import FakeTransformJob, SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from local.emulator.containers import ContainerError, ModelContainer, prepare_model
from local.emulator.surroundings import Surroundings, UnexpectedMotoError, replace

_log = logging.getLogger(__name__)

# Defaults of CreateTransformJob. Source: SageMaker API reference.
_DEFAULT_PAYLOAD_MB: Final = 6
_DEFAULT_TIMEOUT_SECONDS: Final = 600
_DEFAULT_RETRIES: Final = 3

# Source: CreateTransformJob API, MaxConcurrentTransforms.
_CONCURRENT_PAYLOAD_MB: Final = 100

_MB: Final = 1024**2

_NOTING: Final = threading.Lock()
# However many instances a job asks for, this machine starts no more.
_MOST_CONTAINERS: Final = 2

# What CreateTransformJob needs no value for has none in an answer either.
_OPTIONAL: Final = ("model_client_config", "max_concurrent_transforms", "max_payload_in_mb", "batch_strategy", "environment",
                    "data_capture_config", "data_processing", "tags", "experiment_config")  # fmt: skip


class _TransformJob:
    """One run. `stopping` ends it after the requests that are under way."""

    def __init__(self, surroundings: Surroundings, job: FakeTransformJob) -> None:
        self._surroundings, self._job = surroundings, job
        self._containers: list[ModelContainer] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        try:
            failures = self._transform_all()
        except (ClientError, ContainerError, OSError, ValueError, KeyError) as error:
            _log.exception("transform job %s", self._job.transform_job_name)
            failures = [f"InternalServerError: {error}"]
        finally:
            for container in self._containers:
                container.stop()
            shutil.rmtree(self._folder, ignore_errors=True)
        self._end(failures)

    @property
    def _folder(self) -> Any:
        return self._surroundings.state / "transform-jobs" / self._job.transform_job_name

    def _transform_all(self) -> list[str]:
        """What went wrong, an object a line."""
        name = self._job.transform_job_name
        described = self._surroundings.client("sagemaker").describe_model(ModelName=self._job.model_name)
        model, role = described["PrimaryContainer"], described["ExecutionRoleArn"]
        # Recordings and transcripts, too, are moved under the model's role.
        s3 = self._surroundings.client("s3", role)
        count = min(int(self._job.transform_resources["InstanceCount"]), _MOST_CONTAINERS)
        variables = {**(self._job.environment or {}), "SAGEMAKER_BATCH": "true"}
        for number in range(count):
            folder, environment = prepare_model(self._surroundings, model, role, self._folder / str(number), variables)
            log = self._surroundings.logs / "transform-jobs" / f"{name}-{number}.log"
            container = ModelContainer(name=name, folder=folder, environment=environment, log=log)
            self._containers.append(container)
            container.start()
        bucket, prefix, names = self._inputs(s3)
        workers = count * int(self._job.max_concurrent_transforms or 1)
        with ThreadPoolExecutor(workers, thread_name_prefix=name) as pool:
            results = pool.map(
                lambda numbered: self._transform(s3, self._containers[numbered[0] % count], bucket, prefix, numbered[1]),
                enumerate(names),
            )
            return [failure for failure in results if failure]

    def _inputs(self, s3: Any) -> tuple[str, str, list[str]]:
        """(bucket, prefix, the rest of each object's key)."""
        source = self._job.transform_input["DataSource"]["S3DataSource"]  # type: ignore[index]
        bucket, key = _split(source["S3Uri"])  # type: ignore[index]
        if source["S3DataType"] == "ManifestFile":  # type: ignore[index]
            manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            bucket, prefix = _split(manifest[0]["prefix"])
            return bucket, prefix, manifest[1:]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        return bucket, key, [entry["Key"].removeprefix(key) for page in pages for entry in page.get("Contents", [])]

    def _transform(self, s3: Any, container: ModelContainer, bucket: str, prefix: str, name: str) -> str | None:
        """Why the object has no output, or None."""
        if self.stopping.is_set():
            return None
        uri = f"s3://{bucket}/{prefix}{name}"
        try:
            size = s3.head_object(Bucket=bucket, Key=prefix + name)["ContentLength"]
            limit = int(self._job.max_payload_in_mb or _DEFAULT_PAYLOAD_MB) * _MB
            if size > limit:
                return f"ClientError: {uri} has {size} bytes, more than MaxPayloadInMB"
            body = s3.get_object(Bucket=bucket, Key=prefix + name)["Body"].read()
            for status, answer in self._tries(container, body):
                self._note(uri, status)
                if status == 200:
                    target, folder = _split(str(self._job.transform_output["S3OutputPath"]))
                    s3.put_object(Bucket=target, Key=f"{folder.rstrip('/')}/{name.lstrip('/')}.out", Body=answer)
                    return None
            return f"ClientError: {uri} was refused by the model with status {status}"
        except (ClientError, ContainerError) as error:
            _log.warning("%s in transform job %s", uri, self._job.transform_job_name, exc_info=True)
            return f"InternalServerError: {uri}: {error}"

    def _note(self, uri: str, status: int) -> None:
        """What was asked of a model, a line of JSON each: so it can be told whether a recording was transcribed twice."""
        line = json.dumps({"job": self._job.transform_job_name, "object": uri, "status": status})
        with _NOTING, self._surroundings.transforms_file.open("a") as file:
            file.write(line + "\n")

    def _tries(self, container: ModelContainer, body: bytes) -> Iterator[tuple[int, bytes]]:
        """(status, answer) of each: the first, and as many more as the job allows while the model fails."""
        config = self._job.model_client_config or {}
        headers = {"Content-Type": str(self._job.transform_input.get("ContentType", "")), "Accept": "application/json"}
        timeout_seconds = config.get("InvocationsTimeoutInSeconds", _DEFAULT_TIMEOUT_SECONDS)
        for _ in range(1 + config.get("InvocationsMaxRetries", _DEFAULT_RETRIES)):
            status, answer = container.invoke(body, headers, timeout_seconds)
            yield status, answer
            if status < 500:
                return

    def _end(self, failures: list[str]) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)  # as moto has it
        self._job.transform_end_time = self._job.last_modified_time = now
        if self.stopping.is_set():
            self._job.transform_job_status = "Stopped"
        elif failures:
            self._job.failure_reason = f"{failures[0]} ({len(failures)} of the objects have no output)"
            self._job.transform_job_status = "Failed"
        else:
            self._job.transform_job_status = "Completed"


class TransformJobs:
    """All jobs of the emulator, by name."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._running: dict[str, _TransformJob] = {}

    def start(self, job: FakeTransformJob) -> None:
        job.transform_job_status = "InProgress"
        job.transform_end_time = None  # type: ignore[assignment]  # moto's jobs end when they start
        for name in _OPTIONAL:
            if not getattr(job, name):
                setattr(job, name, None)
        running = self._running[job.transform_job_name] = _TransformJob(self._surroundings, job)
        threading.Thread(target=running.run, name=job.transform_job_name, daemon=True).start()

    def end(self, job: FakeTransformJob) -> None:
        if job.transform_job_status == "InProgress":
            job.transform_job_status = "Stopping"
            self._running[job.transform_job_name].stopping.set()

    def stop(self) -> None:
        for running in self._running.values():
            running.stopping.set()


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def install(surroundings: Surroundings) -> TransformJobs:
    jobs = TransformJobs(surroundings)

    def create(self: SageMakerModelBackend, transform_job_name: str, *args: Any, **kwargs: Any) -> FakeTransformJob:
        if transform_job_name in self.transform_jobs:
            raise JsonRESTError("ResourceInUse", f"Job name must be unique; {transform_job_name} exists already.")
        model_name = args[0] if args else kwargs["model_name"]
        if not any(model.model_name == model_name for model in self._models.values()):
            raise JsonRESTError("ValidationException", f'Could not find model "{model_name}".')
        payload_mb = kwargs.get("max_payload_in_mb") or _DEFAULT_PAYLOAD_MB
        if payload_mb * (kwargs.get("max_concurrent_transforms") or 1) > _CONCURRENT_PAYLOAD_MB:
            raise JsonRESTError("ValidationException", "MaxConcurrentTransforms * MaxPayloadInMB must not exceed 100")
        job: FakeTransformJob = create_in_moto(self, transform_job_name, *args, **kwargs)
        jobs.start(job)
        return job

    def stop(self: SageMakerResponse) -> ActionResult:
        name = self._get_param("TransformJobName")
        # Raises moto's own error where there is none of this name.
        self.sagemaker_backend.describe_transform_job(transform_job_name=name)
        jobs.end(self.sagemaker_backend.transform_jobs[name])
        return EmptyResult()

    create_in_moto = replace(SageMakerModelBackend, "create_transform_job", create)
    if hasattr(SageMakerResponse, "stop_transform_job"):
        raise UnexpectedMotoError("moto has StopTransformJob of its own by now; take ours out, or install the pinned version")
    SageMakerResponse.stop_transform_job = stop  # type: ignore[attr-defined]
    return jobs
