"""SQS to Lambda as the Lambda service does it: batches, partial failures, dead letters, disabling."""

import json

import pytest

# Writes down each batch it is given, and reports the bodies that say so as failed.
HANDLER = """
import json, os

def handle(event, context):
    with open(os.environ["SEEN"], "a") as seen:
        print(json.dumps([record["body"] for record in event["Records"]]), file=seen)
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in event["Records"] if r["body"] == "bad"]}
"""


class Source:
    """A queue with dead letters, mapped to a function that shows the batches it gets."""

    def __init__(self, aws, zipped, name, folder):
        self.sqs, self.functions = aws.client("sqs"), aws.client("lambda")
        self.seen = folder / f"{name}-seen"
        self.seen.touch()
        self.dead = self.sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        redrive = json.dumps({"deadLetterTargetArn": self._arn(self.dead), "maxReceiveCount": 2})
        attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": "1"}
        self.queue = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role="arn:aws:iam::123456789012:role/everything",
            Handler="handler.handle",
            Code={"ZipFile": zipped(HANDLER)},
            Environment={"Variables": {"SEEN": str(self.seen)}},
        )
        self.mapping = self.functions.create_event_source_mapping(
            FunctionName=name,
            EventSourceArn=self._arn(self.queue),
            BatchSize=10,
            Enabled=False,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )["UUID"]

    def _arn(self, url):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def enable(self, enabled):
        self.functions.update_event_source_mapping(UUID=self.mapping, Enabled=enabled)

    def send(self, *bodies):
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    def batches(self):
        return [json.loads(line) for line in self.seen.read_text().splitlines()]

    def waiting(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return sum(map(int, self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


@pytest.fixture
def source(aws, zipped, tmp_path):
    return lambda name: Source(aws, zipped, name, tmp_path)


def test_waiting_messages_arrive_as_one_batch_and_leave_the_queue(source, eventually):
    queue = source("batch")
    queue.send("a", "b", "c")
    queue.enable(True)
    assert eventually(queue.batches) == [["a", "b", "c"]]
    eventually(lambda: queue.waiting(queue.queue) == 0)


def test_only_the_failed_message_of_a_batch_comes_again_and_then_goes_to_the_dead_letters(source, eventually):
    queue = source("partial")
    queue.send("good", "bad")
    queue.enable(True)
    eventually(lambda: queue.waiting(queue.dead) == 1)
    assert queue.batches() == [["good", "bad"], ["bad"]]


def test_a_disabled_mapping_leaves_messages_in_the_queue(source, eventually):
    queue = source("disabled")
    queue.enable(True)
    queue.send("first")
    assert eventually(queue.batches) == [["first"]]
    queue.enable(False)
    # A poll that was under way may still deliver one; the one after it must not.
    queue.send("maybe")
    eventually(lambda: queue.waiting(queue.queue) in (0, 1))
    queue.send("left")
    witness = source("witness")
    witness.enable(True)
    witness.send("a poll later")
    eventually(lambda: ["a poll later"] in witness.batches())
    assert ["left"] not in queue.batches()
    assert queue.waiting(queue.queue) >= 1
