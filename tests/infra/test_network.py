"""A network of the environment's own: functions and containers in it, AWS's services reached inside it, no way out."""

import dataclasses
import json

import pytest

from infra.environments import find_environment
from infra.errors import ConfigurationError
from infra.network import NetworkSettings
from tests.infra.synthesized import synthesize

ENDPOINT, FUNCTION, MODEL = "AWS::EC2::VPCEndpoint", "AWS::Lambda::Function", "AWS::SageMaker::Model"

# Service in an IAM action → what stands in the name of its endpoint. None: not called from the function's own network.
REACHED = {
    **{"application-autoscaling": "application-autoscaling", "cloudwatch": "monitoring", "states": "states"},
    **{"dynamodb": "dynamodb", "s3": "s3", "sns": "sns", "sqs": "sqs", "xray": "xray"},
    **{"ec2": None, "kms": None, "logs": None},
}


def listed(value):
    return value if isinstance(value, list) else [value]


def opened(synthesis):
    """The services that have an endpoint, by its type."""
    found = {"Gateway": set(), "Interface": set()}
    for endpoint in synthesis.network.resources(ENDPOINT):
        found[endpoint["VpcEndpointType"]].add(endpoint["ServiceName"]["Fn::Join"][1][-1].removeprefix("."))
    return found


def called(synthesis):
    """The endpoints of all that the functions' roles allow."""
    names = set()
    for template in synthesis.templates:
        roles = {function["Role"]["Fn::GetAtt"][0] for function in template.resources(FUNCTION)}
        for policy in template.resources("AWS::IAM::Policy"):
            if {role.get("Ref") for role in policy["Roles"]} & roles:
                for statement in policy["PolicyDocument"]["Statement"]:
                    names |= {endpoint_of(action) for action in listed(statement["Action"])}
    return names - {None}


def endpoint_of(action):
    service, _, name = action.partition(":")
    if service == "sagemaker":
        return "sagemaker.runtime" if name.startswith("Invoke") else "sagemaker.api"
    return REACHED[service]


def test_no_environment_has_a_network_unless_it_says_so(syntheses):
    for synthesis in syntheses.values():
        assert "Network" not in synthesis.stacks
        for template in synthesis.templates:
            assert "VpcConfig" not in json.dumps(template.body)


def test_every_function_and_every_model_container_is_in_the_network_and_in_all_its_zones(enclosed):
    functions = [each for template in enclosed.templates for each in template.resources(FUNCTION)]
    models = [each for template in enclosed.templates for each in template.resources(MODEL)]
    assert (len(functions) >= 7, len(models)) == (True, 3)
    for properties, subnets in [*((f, "SubnetIds") for f in functions), *((m, "Subnets") for m in models)]:
        config = properties["VpcConfig"]
        assert [f"Subnet{zone}" in json.dumps(subnet) for zone, subnet in enumerate(config[subnets], start=1)] == [True] * 3
        assert len(config["SecurityGroupIds"]) == 1
    assert all(model["EnableNetworkIsolation"] for model in models), "the container itself has no network all the same"


def test_there_is_an_endpoint_for_every_service_that_a_function_may_call_and_no_other(enclosed):
    endpoints = opened(enclosed)
    assert endpoints["Gateway"] == {"s3", "dynamodb"}
    assert endpoints["Gateway"] | endpoints["Interface"] == called(enclosed) | {"s3", "dynamodb"}


def test_a_real_time_endpoint_alone_needs_neither_queues_nor_topics(tmp_path):
    staging = find_environment("staging")
    alone = dataclasses.replace(staging, asynchronous=None, batch=None, network=NetworkSettings())
    endpoints = opened(synthesize(alone, tmp_path))
    assert endpoints["Interface"] == {"monitoring", "sagemaker.api", "sagemaker.runtime", "xray"}


def test_nothing_leads_out_of_the_network_and_nothing_in(enclosed):
    kinds = {resource["Type"] for resource in enclosed.network.body["Resources"].values()}
    assert not kinds & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route", "AWS::EC2::EIP"}
    assert all(subnet["MapPublicIpOnLaunch"] is False for subnet in enclosed.network.resources("AWS::EC2::Subnet"))
    groups = enclosed.network.resources("AWS::EC2::SecurityGroup")
    assert all("SecurityGroupIngress" not in group for group in groups)
    assert {(rule["FromPort"], rule["ToPort"]) for group in groups for rule in group["SecurityGroupEgress"]} == {(443, 443)}
    ingress = enclosed.network.resource("AWS::EC2::SecurityGroupIngress")
    assert (ingress["FromPort"], ingress["ToPort"]) == (443, 443)
    assert "CidrIp" not in ingress
    assert ingress["SourceSecurityGroupId"]["Fn::GetAtt"][0].startswith("NetworkFunctions")


def test_endpoints_serve_this_account_only_and_answer_to_the_services_usual_names(enclosed):
    for endpoint in enclosed.network.resources(ENDPOINT):
        (statement,) = endpoint["PolicyDocument"]["Statement"]
        assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}
        assert endpoint.get("PrivateDnsEnabled", False) is (endpoint["VpcEndpointType"] == "Interface")
    vpc = enclosed.network.resource("AWS::EC2::VPC")
    assert (vpc["EnableDnsHostnames"], vpc["EnableDnsSupport"]) == (True, True)


def test_each_zone_has_a_subnet_of_its_own_that_routes_to_the_gateways(enclosed):
    subnets = enclosed.network.resources("AWS::EC2::Subnet")
    assert [subnet["CidrBlock"] for subnet in subnets] == ["10.20.0.0/22", "10.20.4.0/22", "10.20.8.0/22"]
    assert [subnet["AvailabilityZone"]["Fn::Select"][0] for subnet in subnets] == [0, 1, 2]
    assert len(enclosed.network.resources("AWS::EC2::SubnetRouteTableAssociation")) == 3
    gateways = [each for each in enclosed.network.resources(ENDPOINT) if each["VpcEndpointType"] == "Gateway"]
    assert all(each["RouteTableIds"][0]["Fn::GetAtt"][0].startswith("NetworkRoutes") for each in gateways)


def test_who_talked_to_whom_is_written_down_encrypted_and_for_a_while(enclosed):
    assert enclosed.network.resource("AWS::EC2::FlowLog")["TrafficType"] == "ALL"
    group = enclosed.network.resource("AWS::Logs::LogGroup")
    assert group["RetentionInDays"] == 90
    assert "DataKey" in json.dumps(group["KmsKeyId"])
    (written,) = enclosed.network.allowed("NetworkFlowLogsRole", "logs:PutLogEvents")
    assert written.startswith("<NetworkFlowLogs")


def test_roles_may_make_interfaces_only_where_there_is_a_network(enclosed, syntheses):
    for name, role in [("asynchronous", "Model"), ("realtime", "Model"), ("batch", "Model"), ("realtime", "CostGuardRole")]:
        assert getattr(enclosed, name).allowed(role, "ec2:CreateNetworkInterface")
        assert getattr(syntheses["staging"], name).allowed(role, "ec2:*") == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cidr": "10.0.0.0"}, r"cidr is '10.0.0.0'; its prefix must be /16 to /24"),
        ({"cidr": "10.0.0.1/16"}, r"cidr is '10.0.0.1/16' \(10.0.0.1/16 has host bits set\); give a network such as"),
        ({"cidr": "here"}, r"cidr is 'here' .*give a network such as"),
        *(
            ({"cidr": f"{each}/16"}, rf"cidr is '{each}/16'; it must lie in 10.0.0.0/8")
            for each in ("8.8.0.0", "127.0.0.0", "192.0.0.0")
        ),
        ({"cidr": "10.0.0.0/15"}, r"cidr is '10.0.0.0/15'; its prefix must be /16 to /24"),
        ({"cidr": "10.0.0.0/25"}, r"cidr is '10.0.0.0/25'; its prefix must be /16 to /24"),
        ({"zones": 1}, r"zones is 1; it must be 2 to 3"),
        ({"zones": 4}, r"zones is 4; it must be 2 to 3"),
    ],
)
def test_networks_that_cannot_work_are_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        NetworkSettings(**change)
