"""Everything that outlives the pipeline, in one hand: what jobs read, write and remember."""

from dataclasses import dataclass

from infra.constructs.announcements import Announcements
from infra.constructs.audio_bucket import AudioBucket
from infra.constructs.data_key import DataKey
from infra.constructs.job_table import JobTable
from infra.constructs.model_bucket import ModelBucket
from infra.constructs.transcripts_bucket import TranscriptsBucket


@dataclass(frozen=True)
class JobStorage:
    key: DataKey
    audio: AudioBucket
    transcripts: TranscriptsBucket
    models: ModelBucket
    jobs: JobTable
    announcements: Announcements
