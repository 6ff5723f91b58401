"""A model for transform jobs: it reads staged recordings and writes raw transcripts, as the asynchronous endpoint's does."""

from constructs import Construct

from infra.constructs.job_storage import JobStorage
from infra.constructs.private_network import PrivateNetwork
from infra.constructs.whisper_model import WhisperModel
from infra.inference_options import BatchSettings
from whisperstack_contract.artefact import ReleaseManifest
from whisperstack_contract.inference_options import InferenceOption


class BatchModel(WhisperModel):
    """settings: also say what a job may ask of it (payload, concurrency, instance type)."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: BatchSettings,
        release: ReleaseManifest | None,
        storage: JobStorage,
        network: PrivateNetwork | None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            settings=settings,
            limits=settings.serving_limits,
            release=release,
            bucket=storage.models,
            key=storage.key,
            network=network,
            option=InferenceOption.BATCH,
        )
        storage.audio.grant_read_staged(self.role)
        storage.transcripts.grant_write_batch_output(self.role)
        if not settings.instance.has_local_disk:
            storage.key.grant_volume(self.role)
