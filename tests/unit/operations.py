"""An endpoint as moto has it, what a function wrote as metrics, and a session that knows no account."""

import json

import boto3

ENDPOINT = "whisper"
VARIANT = "Whisper"


def create_endpoint(sagemaker, instances):
    sagemaker.create_model(
        ModelName="model",
        ExecutionRoleArn="arn:aws:iam::123456789012:role/model",
        PrimaryContainer={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1"},
    )
    variant = {
        "VariantName": VARIANT,
        "ModelName": "model",
        "InstanceType": "ml.g4dn.xlarge",
        "InitialInstanceCount": instances,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="config", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName="config")


def instances_of(sagemaker):
    (variant,) = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["ProductionVariants"]
    return variant["CurrentInstanceCount"]


def client(service):
    return boto3.client(service, region_name="us-east-1")


def metrics_in(output):
    """Metric → (dimensions, value) of every embedded metric in a function's output."""
    found = {}
    for line in output.splitlines():
        document = json.loads(line)
        for block in document.get("_aws", {}).get("CloudWatchMetrics", ()):
            (dimensions,) = block["Dimensions"]
            for metric in block["Metrics"]:
                found[block["Namespace"], metric["Name"]] = (frozenset(dimensions), document[metric["Name"]][0])
    return found
