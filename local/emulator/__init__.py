"""A moto server, and on moto's own extension points what moto leaves out. One module for each piece.

cloudformation_types   resource types that moto's CloudFormation passes over
operations_types       and those of them that scale and watch: targets, policies, alarms, budgets
change_sets            outputs, exports and failures of what the CDK deploys
bucket_properties      versioning, events and lifecycle of a bucket in a template
functions              Lambda functions run from their deployed zip, each in a process of its own
event_sources          SQS to Lambda, with batches and partial batch responses
endpoints              SageMaker endpoints: a process that serves the deployed model.tar.gz
async_inference        the queue, the workers and the notifications of an asynchronous endpoint
role_access            whether the role of a function or an endpoint allows what it calls
runtime_api            InvokeEndpoint and InvokeEndpointAsync

What it does not do: conditions of IAM policies, KMS policies, quotas, autoscaling, durability. docs/embedded-aws.md says what
covers each.
"""
