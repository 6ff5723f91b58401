"""Whether SageMaker lets the account have the instances."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from preflight.findings import Finding, failed, passed
from preflight.needs import Instances

_SERVICE: Final = "sagemaker"


def check_quotas(quotas: Any, needed: Sequence[Instances], region: str) -> Iterator[Finding]:
    """One finding for each instance type and use; what several options need of one adds up."""
    wanted: Counter[str] = Counter()
    for instances in needed:
        wanted[f"{instances.type} for {instances.use}"] += instances.count
    granted = _granted(quotas, set(wanted))
    for name, count in sorted(wanted.items()):
        subject = f"quota {name!r}"
        quota = granted.get(name)
        if quota is None:
            yield failed(
                subject,
                f"SageMaker has no such quota in {region}, so probably no such instances",
                "choose another instance type or region in infra/environments.py",
            )
        elif quota["Value"] < count:
            yield failed(
                subject,
                f"it is {quota['Value']:g}; the environment needs {count}",
                f"ask for more: aws service-quotas request-service-quota-increase --region {region} --service-code {_SERVICE} "
                f"--quota-code {quota['QuotaCode']} --desired-value {count}; or lower max_instances",
            )
        else:
            yield passed(subject, f"{quota['Value']:g}, of which {count} are needed")


def _granted(quotas: Any, names: set[str]) -> dict[str, Any]:
    """By name. What was never raised is listed with its default only."""
    found: dict[str, Any] = {}
    for operation in ("list_service_quotas", "list_aws_default_service_quotas"):
        if names <= set(found):
            break
        for page in quotas.get_paginator(operation).paginate(ServiceCode=_SERVICE):
            for quota in page["Quotas"]:
                if quota["QuotaName"] in names:
                    found.setdefault(quota["QuotaName"], quota)
    return found
