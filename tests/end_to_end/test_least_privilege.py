"""After all other tests on the deployed product: every call had a grant, and every grant had a call.

Conditions of statements are not evaluated; docs/security.md lists them.
"""

import fnmatch

import pytest

from tests.end_to_end.grants import covered_by, is_wider_than_used, read_calls, read_grants

# (role, action), with wildcards → who needs what nothing calls here. All but the last are calls of AWS services for the role.
UNCALLED = {
    ("*", "kms:*"): "S3, SQS, SNS, DynamoDB and SageMaker call KMS; the embedded AWS encrypts nothing",
    ("Batch/Functions*Role", "s3:*Object*", "*/incoming/*"): "batches below incoming/ are run in tests/unit/test_batch_run.py",
    ("Batch/Functions*Role", "s3:*Object", "*/errors/*"): "of a batch below incoming/",
    ("Batch/Functions*Role", "s3:*Object", "*/transcripts/*"): "of a batch below incoming/",
    ("Batch/Functions*Role", "s3:*Object", "*-by-hash/*"): "of a batch below incoming/ whose names are too long for a suffix",
    ("Batch/Functions*Role", "s3:DeleteObject", "*/batch-*/*"): "takes back a result that a cancellation has overtaken",
    ("Batch/Functions*Role", "s3:DeleteObject", "*/versions/*"): "the same",
    ("Batch/FunctionsPlanRole", "s3:GetObject", "*/versions/[*].error.json"): "reads what it is about to take back",
    ("Batch/FunctionsCollectRole", "dynamodb:GetItem"): "reads a row again that another delivery has changed",
    ("uploader", "s3:*Multipart*", "*/batch/*"): "as below incoming/, where a test uploads in parts",
    ("Asynchronous/IntakeSubmitRole", "s3:*", "*/batch*/*"): "a leftover that is refused; they are read by version",
    ("Asynchronous/ResultsRecordRole", "s3:PutObject", "*/batch-errors/*"): "a leftover that cannot be transcribed",
    ("Batch/WorkflowRole", "events:*"): "Step Functions hears of the ends of transform jobs through a rule",
    ("Batch/WorkflowRole", "sagemaker:AddTags"): "SageMaker asks for it when a job is created with tags",
    ("Batch/WorkflowRole", "states:*"): "a map's children are branches here",
    ("*/*Role", "logs:*"): "Lambda and SageMaker write logs",
    ("*/*Role", "xray:*"): "Lambda writes traces",
    ("*/*Role", "sqs:GetQueueAttributes"): "Lambda's poller asks for it when a mapping is made",
    ("Asynchronous/Reconc*ReconcileRole", "s3:*Object", "*/batch*/*"): "a silent batch: tests/unit/test_batch_recovery.py",
    ("Asynchronous/Reconc*ReconcileRole", "s3:GetObject", "*/raw/*"): "the same: what its transform jobs have stored",
    ("Asynchronous/Reconc*ReconcileRole", "s3:ListBucket", "*audio*"): "lets S3 say of an upload that it is gone",
    ("Asynchronous/ResultsRecordRole", "s3:DeleteObject"): "takes back a transcript that a cancellation overtook",
    ("*/ModelRole", "ecr:*"): "SageMaker fetches the image",
    ("*/ModelRole", "cloudwatch:PutMetricData"): "SageMaker writes the metrics of the instances",
}

# (role, action, what the ARN ends with) → why it is not narrower.
WIDER = {
    ("Batch/FunctionsPlanRole", "s3:*", "*/batch*/*"): "one recording is refused by a plan here; users name the others",
    ("Batch/FunctionsPlanRole", "s3:PutObject", "*/versions/[*].error.json"): "the same",
    ("Batch/FunctionsPlanRole", "sagemaker:*TransformJob"): "looks at one job that was left behind; they are named by shard",
    (
        "Asynchronous/CanaryTranscribeRole",
        "s3:GetObject",
        "*/raw/canary/*",
    ): "a folder of canaries only, whose names begin alike",
}


@pytest.fixture(scope="module")
def calls(pipeline):
    return read_calls(pipeline.aws.surroundings.calls_file, pipeline.roles)


@pytest.fixture(scope="module")
def granted(pipeline):
    return read_grants(pipeline.aws, pipeline.roles)


def reasons(grant, reasoned):
    return {key for key in reasoned if all(map(fnmatch.fnmatchcase, grant, key))}


def listed(remedy, grants):
    """All of them: pytest shows the first of a long list only."""
    return "\n".join([f"{remedy}:", *(" ".join(grant) for grant in grants)])


def test_no_call_lacked_a_grant(calls):
    allowed, refused = calls
    assert len({call.role for call in allowed}) >= 6
    assert refused == set()


def test_no_grant_is_without_a_call(calls, granted):
    unused = {grant for grant in granted if not covered_by(grant, calls[0])}
    unexplained = sorted(grant for grant in unused if not reasons(grant, UNCALLED))
    assert not unexplained, listed("take these grants out, call them in a test, or give the reason in UNCALLED", unexplained)
    assert set().union(*(reasons(grant, UNCALLED) for grant in unused)) == set(UNCALLED), "a reason without a grant"


def test_no_grant_is_wider_than_what_is_called(calls, granted):
    wider = {grant for grant in granted if is_wider_than_used(grant, calls[0])}
    unexplained = sorted(grant for grant in wider if not reasons(grant, WIDER))
    assert not unexplained, listed("narrow these ARNs, use them for more than one resource, or say why in WIDER", unexplained)
    assert set().union(*(reasons(grant, WIDER) for grant in wider)) == set(WIDER), "a reason without a grant"
