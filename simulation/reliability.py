"""The table of faults in docs/reliability.md: of each fault, what AWS says, what the pipeline does, and what shows it.

Besides the test named here, every fault happens in the simulation, where no rule may break.
"""

from typing import Final, NamedTuple

from simulation.faults import Fault


class Answer(NamedTuple):
    """promise: what AWS says, with the source. measure: what the pipeline does. test: the name of one that shows it alone."""

    promise: str
    measure: str
    test: str


_S3_EVENTS: Final = "Designed to be delivered at least once, in no order (S3 user guide, event notifications)"
_EVENTBRIDGE: Final = "Retried for 24 h or 185 times, then to the rule's dead letters (EventBridge user guide, retry policy)"
_SQS: Final = "Standard queues deliver at least once, in no order (SQS developer guide)"
_LAMBDA: Final = "A batch whose function dies is delivered again (Lambda developer guide, SQS event sources)"
_API: Final = "Any request can be refused or fail; clients should try again (AWS general reference, error retries)"
_TIMEOUT: Final = "None: an answer that did not come says nothing of the effect"
_CONDITIONAL: Final = (
    "409 for two conditional writes at a time, 412 for one that came second (S3 user guide, conditional writes)"
)
_ASYNC: Final = "None: SageMaker does not retry, and what becomes of a lost instance's requests is not documented"
_SNS: Final = "Retried for 23 days, then to the subscription's dead letters (SNS developer guide, delivery retries)"
_OUTAGE: Final = "An availability per month, no bound on one outage (the service's level agreement)"

_DEAD: Final = "test_all_dead_letters_go_back_to_where_they_belong"
_CRASH: Final = "test_an_upload_is_submitted_wherever_the_function_dies"
_ENDS_ONCE: Final = "test_a_job_ends_once_and_is_announced_wherever_the_function_dies"
_VANISHED: Final = "test_a_request_that_vanished_is_sent_again_and_costs_no_attempt_until_it_has_vanished_too_often"
_RETRY: Final = "test_a_failure_that_may_pass_is_tried_again_after_a_while_until_it_has_failed_too_often"
_AGAIN: Final = "test_an_upload_that_the_endpoint_does_not_take_is_tried_again"
_OVERTAKEN: Final = "test_a_version_that_is_overtaken_while_it_is_recorded_does_not_keep_the_name"

_LATER: Final = (
    "Ten deliveries, then dead letters with an alarm, which an operator sends again; what has a row is found by it anyway"
)
_DERIVED: Final = "The job id is derived from the version: a repetition finds the row, and goes on or does nothing"
_GOES_ON: Final = "The row says how far it came; the message comes again, and whoever handles it goes on from there"

ANSWERS: Final[dict[Fault, Answer]] = {
    Fault.UPLOAD_EVENT_LOST: Answer(
        _S3_EVENTS,
        "Once a day the bucket is listed, and what has no job is submitted",
        "test_an_upload_whose_event_never_came_is_found_once_a_day",
    ),
    Fault.EVENT_DOUBLED: Answer(_S3_EVENTS, _DERIVED, "test_a_repeated_event_does_no_work_twice"),
    Fault.EVENT_LATE: Answer(
        _S3_EVENTS,
        "No order is assumed: what S3 calls current is asked, not remembered",
        "test_an_older_version_recorded_last_does_not_take_the_name",
    ),
    Fault.EVENT_UNDELIVERABLE: Answer(
        _EVENTBRIDGE, "Dead letters of the rule, with an alarm; an operator sends them again", _DEAD
    ),
    Fault.MESSAGE_REPEATED: Answer(_SQS, _DERIVED, "test_a_repeated_success_changes_nothing"),
    Fault.FUNCTION_REFUSED: Answer("Throttled deliveries count as deliveries (Lambda developer guide)", _LATER, _DEAD),
    Fault.CRASH_BEFORE_CALL: Answer(_LAMBDA, _GOES_ON, _CRASH),
    Fault.CRASH_AFTER_CALL: Answer(_LAMBDA, _GOES_ON, _ENDS_ONCE),
    Fault.CALL_SLOW: Answer(
        "None",
        "Every write says what it expects to find; what came second has no effect",
        "test_an_invocation_that_is_noted_after_its_failure_does_not_hold_up_the_next",
    ),
    Fault.CALL_THROTTLED: Answer(_API, "boto3 tries again, then the message comes again", _AGAIN),
    Fault.ANSWER_LOST: Answer(
        _TIMEOUT,
        "Every step can be repeated; only an announcement is then told twice, under the same event id",
        _ENDS_ONCE,
    ),
    Fault.WRITE_CONFLICT: Answer(_CONDITIONAL, "The writer looks again, and whether it still may", _OVERTAKEN),
    Fault.BATCH_REFUSED_IN_PART: Answer(
        "Answers name what was not done (SQS and DynamoDB API references)",
        "The rest is asked for again, now or by the next run",
        "test_a_listing_goes_on_where_the_last_run_stopped",
    ),
    Fault.INDEX_LATE: Answer(
        "Indexes follow their table, usually within a second (DynamoDB developer guide)",
        "What an index names is read from the table before anything is done",
        "test_the_row_is_read_consistently",
    ),
    Fault.CLOCK_SKEWED: Answer(
        "Amazon's time service, to the millisecond; the simulation goes to 10 s",
        "Deadlines have minutes to spare; no order is told by clocks",
        "test_an_end_that_was_not_told_is_told",
    ),
    Fault.OUTAGE_S3: Answer(_OUTAGE, _LATER, "test_an_output_that_is_not_there_is_looked_for_again"),
    Fault.OUTAGE_DYNAMODB: Answer(_OUTAGE, _LATER, _ENDS_ONCE),
    Fault.OUTAGE_SQS: Answer(_OUTAGE, "EventBridge and SNS keep trying; the reconciler's next run sends again", _DEAD),
    Fault.OUTAGE_SNS: Answer(
        _OUTAGE, "An end that was not told stays in the index until it is", "test_an_end_that_was_not_told_is_told"
    ),
    Fault.OUTAGE_SAGEMAKER: Answer(_OUTAGE, "The intent is written down first, and carried out later", _AGAIN),
    Fault.OUTAGE_LAMBDA: Answer(_OUTAGE, _LATER, _DEAD),
    Fault.ENDPOINT_STARTS_SLOWLY: Answer(
        "None: instances can be scarce for hours",
        "Less is submitted than the endpoint can do in half of a request's time to live; the rest waits, the oldest first",
        "test_work_beyond_half_of_what_the_endpoint_can_do_in_time_waits_its_turn",
    ),
    Fault.ENDPOINT_UPDATING: Answer(_ASYNC, "A request without an answer is sent again when its time is over", _VANISHED),
    Fault.ENDPOINT_FAILED: Answer("Requests are refused", "The intent is carried out when the endpoint is there again", _AGAIN),
    Fault.REQUEST_EXPIRED_SILENTLY: Answer(
        _ASYNC, "As a request that vanished: sent again, at no cost of an attempt", _VANISHED
    ),
    Fault.REQUEST_EXPIRED_LOUDLY: Answer(
        "A metric, ExpiredRequests; no notification is documented",
        "If there is one, it is believed, at no cost of an attempt",
        "test_a_request_that_sagemaker_says_has_expired_costs_no_attempt",
    ),
    Fault.WORKER_DIED_SILENTLY: Answer(
        _ASYNC, "After time to live, timeout and slack the request counts as vanished", _VANISHED
    ),
    Fault.WORKER_DIED_LOUDLY: Answer(_ASYNC, "Tried again after 2, 12 and 72 minutes; failed after four times", _RETRY),
    Fault.INSTANCE_LOST: Answer(_ASYNC, "As a worker that died silently", _VANISHED),
    Fault.MODEL_FAILED: Answer(
        _ASYNC, "The error document says whether trying again can help; if so, as a worker that died loudly", _RETRY
    ),
    Fault.NOTIFICATION_LOST: Answer(
        _SNS,
        "Every half hour the output's known place is looked at",
        "test_an_output_whose_notification_was_lost_is_recorded",
    ),
    Fault.NOTIFICATION_DOUBLED: Answer(
        _SNS, "The end is written once, by a condition", "test_two_deliveries_of_one_success_at_the_same_time_end_the_job_once"
    ),
    Fault.NOTIFICATION_LATE: Answer(
        _SNS,
        "A transcript counts whichever attempt it is of, a failure only of the current one",
        "test_the_failure_of_an_earlier_attempt_does_not_count",
    ),
    Fault.ENDPOINT_TEST_MESSAGE: Answer(
        "One at each create and update, without a status",
        "Acknowledged and counted",
        "test_test_messages_of_the_endpoint_are_acknowledged_and_counted",
    ),
    Fault.OVERWRITTEN_WHILE_QUEUED: Answer(
        "A key names what is current when it is read",
        "The endpoint reads a copy of exactly that version; the current version owns the names of results",
        "test_a_result_of_an_overwritten_upload_lies_under_its_job",
    ),
    Fault.DELETED: Answer(
        "A delete marker hides the versions, which stay",
        "It is transcribed; the result lies under its job's id",
        "test_a_result_of_a_deleted_upload_lies_under_its_job",
    ),
    Fault.VERSION_DELETED_FOR_GOOD: Answer(
        "The version is gone; another may be current then",
        "Rejected as gone unless its copy was made; the names go to the version that is current now",
        "test_a_version_that_reappears_gets_its_name_back",
    ),
    Fault.RESTORED: Answer(
        "A version whose delete marker goes is current again, and nothing says since when",
        "An event of the deletion, on which the names are given back",
        "test_a_version_recorded_below_a_delete_marker_gets_the_name_when_the_marker_goes",
    ),
}


def table() -> str:
    head = ["| fault | what AWS promises | what we do | a test of it alone |", "|---|---|---|---|"]
    rows = [f"| {fault} | {answer.promise}. | {answer.measure}. | `{answer.test}` |" for fault, answer in ANSWERS.items()]
    return "\n".join([*head, *rows])
