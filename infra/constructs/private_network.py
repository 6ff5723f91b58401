"""A network without a way to the internet, for functions and model containers; AWS's services are reached inside it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aws_cdk import CfnTag, Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.grants import grant_wildcard
from infra.network import NetworkSettings

_HTTPS: Final = 443

_GATEWAYS: Final = ("dynamodb", "s3")

# Who calls these for a function does not do so from its network: Lambda writes logs and makes network interfaces, and S3, SQS,
# SNS and DynamoDB call KMS.
_CALLED_FROM_OUTSIDE: Final = frozenset({"ec2", "kms", "logs"})

# The service in an IAM action → that in the endpoint's name, where the two differ.
_ENDPOINT_NAMES: Final[Mapping[str, str]] = {"cloudwatch": "monitoring"}
_RUNTIME_ACTIONS: Final = frozenset({"sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"})

_INTERFACES_REASON: Final = "The service makes network interfaces for the role, and their ids cannot be known beforehand."


class PrivateNetwork(Construct):
    """Subnets that route nowhere but to S3, DynamoDB and the services that the functions placed here may call.

    Call `open_endpoints` once everything is placed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: NetworkSettings,
        key: kms.IKey,
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, construct_id)
        self._roles: list[iam.Role] = []
        self._vpc = ec2.CfnVPC(
            self, "Vpc", cidr_block=settings.cidr, enable_dns_hostnames=True, enable_dns_support=True, tags=[_name(self, "Vpc")]
        )
        self._routes = ec2.CfnRouteTable(self, "Routes", vpc_id=self._vpc.attr_vpc_id, tags=[_name(self, "Routes")])
        self._subnets = [self._subnet(zone, cidr) for zone, cidr in enumerate(settings.subnets)]
        self._functions = self._security_group("Functions", "Functions: HTTPS to AWS services, nothing in")
        self._models = self._security_group("Models", "Model containers: HTTPS to AWS services, nothing in")
        self._endpoints = self._security_group("Endpoints", "Endpoints of AWS services: HTTPS from functions")
        ec2.CfnSecurityGroupIngress(
            self,
            "FromFunctions",
            group_id=self._endpoints.attr_group_id,
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            source_security_group_id=self._functions.attr_group_id,
            description="HTTPS from functions",
        )
        for service in _GATEWAYS:
            self._endpoint(service, vpc_endpoint_type="Gateway", route_table_ids=[self._routes.attr_route_table_id])
        self._log_flows(key, log_retention)

    def place_function(self, function: lambda_.CfnFunction, role: iam.Role) -> None:
        """Its code reaches what `role` may call, but not EC2, although the role lets Lambda make interfaces there."""
        function.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=self._subnet_ids, security_group_ids=[self._functions.attr_group_id]
        )
        # Source: Lambda developer guide, "Giving Lambda functions access to resources in an Amazon VPC".
        _grant_interfaces(role, ["AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"], ["DescribeSubnets"])
        self._roles.append(role)

    def place_model(self, role: iam.Role) -> sagemaker.CfnModel.VpcConfigProperty:
        """Of a model whose role is `role`. SageMaker moves its archive, recordings and transcripts through this network."""
        # Source: CreateModel API, "Execution Role Permissions".
        described = ["DescribeDhcpOptions", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs"]
        _grant_interfaces(role, ["CreateNetworkInterfacePermission", "DeleteNetworkInterfacePermission"], described)
        return sagemaker.CfnModel.VpcConfigProperty(subnets=self._subnet_ids, security_group_ids=[self._models.attr_group_id])

    def open_endpoints(self) -> None:
        """An interface endpoint for each service that a function here may call, and no other, as each costs by the hour."""
        called = {service for role in self._roles for service in _services(role)}
        for service in sorted(called - {*_GATEWAYS, *_CALLED_FROM_OUTSIDE}):
            self._endpoint(
                _ENDPOINT_NAMES.get(service, service),
                vpc_endpoint_type="Interface",
                subnet_ids=self._subnet_ids,
                security_group_ids=[self._endpoints.attr_group_id],
                private_dns_enabled=True,
            )

    @property
    def _subnet_ids(self) -> list[str]:
        return [subnet.attr_subnet_id for subnet in self._subnets]

    def _subnet(self, zone: int, cidr: str) -> ec2.CfnSubnet:
        name = f"Subnet{zone + 1}"
        subnet = ec2.CfnSubnet(
            self,
            name,
            vpc_id=self._vpc.attr_vpc_id,
            # By number, so that a template serves every region, and synthesis asks nobody.
            availability_zone=Fn.select(zone, Fn.get_azs()),
            cidr_block=cidr,
            map_public_ip_on_launch=False,
            tags=[_name(self, name)],
        )
        ec2.CfnSubnetRouteTableAssociation(
            self, f"{name}Routes", subnet_id=subnet.attr_subnet_id, route_table_id=self._routes.attr_route_table_id
        )
        return subnet

    def _security_group(self, name: str, description: str) -> ec2.CfnSecurityGroup:
        # Where that leads is decided by the routes, none of which leads out.
        egress = ec2.CfnSecurityGroup.EgressProperty(
            ip_protocol="tcp", from_port=_HTTPS, to_port=_HTTPS, cidr_ip="0.0.0.0/0", description="HTTPS"
        )
        return ec2.CfnSecurityGroup(
            self,
            name,
            group_description=description,
            vpc_id=self._vpc.attr_vpc_id,
            security_group_egress=[egress],
            tags=[_name(self, name)],
        )

    def _endpoint(self, service: str, **properties: Any) -> None:
        stack = Stack.of(self)
        ours = {"StringEquals": {"aws:PrincipalAccount": stack.account}}
        # What may be called is said by the roles; this keeps the credentials of others from carrying anything out.
        statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": ours}
        ec2.CfnVPCEndpoint(
            self,
            "".join(part.capitalize() for part in service.replace(".", "-").split("-")),
            vpc_id=self._vpc.attr_vpc_id,
            service_name=f"com.amazonaws.{stack.region}.{service}",
            policy_document={"Version": "2012-10-17", "Statement": [statement]},
            **properties,
        )

    def _log_flows(self, key: kms.IKey, retention: logs.RetentionDays) -> None:
        group = logs.LogGroup(self, "FlowLogs", retention=retention, encryption_key=key, removal_policy=RemovalPolicy.DESTROY)
        role = iam.Role(self, "FlowLogsRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"))
        group.grant_write(role)
        ec2.CfnFlowLog(
            self,
            "Flows",
            resource_id=self._vpc.attr_vpc_id,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
        ).node.add_dependency(_default_policy(role))


def _grant_interfaces(role: iam.Role, changing: Iterable[str], describing: Iterable[str]) -> None:
    """changing, describing: actions beside those that everyone who has interfaces in a network needs."""
    anything = Stack.of(role).format_arn(service="ec2", resource="*", resource_name="*")
    changes = ["CreateNetworkInterface", "DeleteNetworkInterface", *changing]
    grant_wildcard(role, [f"ec2:{each}" for each in changes], [anything], _INTERFACES_REASON)
    looks = ["DescribeNetworkInterfaces", *describing]
    grant_wildcard(role, [f"ec2:{each}" for each in looks], ["*"], "EC2's descriptions have no resource to be narrowed to.")


def _services(role: iam.Role) -> set[str]:
    """The services whose actions the role's policies allow, by the name of their endpoint."""
    stack = Stack.of(role)
    name = stack.resolve(role.role_name)
    policies = [each for each in stack.node.find_all() if isinstance(each, iam.CfnPolicy)]
    documents: list[Any] = [stack.resolve(each.policy_document) for each in policies if name in stack.resolve(each.roles)]
    actions = [each["Action"] for document in documents for each in document["Statement"]]
    flat = [action for each in actions for action in ([each] if isinstance(each, str) else each)]
    return {_service(action) for action in flat}


def _service(action: str) -> str:
    service = action.partition(":")[0]
    if service == "sagemaker":
        return "sagemaker.runtime" if action in _RUNTIME_ACTIONS else "sagemaker.api"
    return service


def _default_policy(role: iam.Role) -> iam.CfnPolicy:
    """Where the role's grants go."""
    policy = role.node.find_child("DefaultPolicy").node.default_child
    if not isinstance(policy, iam.CfnPolicy):
        raise TypeError(f"{role.node.path} holds a {type(policy).__name__} where its policy should be")
    return policy


def _name(scope: Construct, name: str) -> CfnTag:
    return CfnTag(key="Name", value=f"{Stack.of(scope).stack_name}-{name}")
