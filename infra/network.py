"""A network of the environment's own, without a way to the internet."""

import ipaddress
from dataclasses import dataclass
from typing import Final

from infra.errors import ConfigurationError, require_range
from infra.settings import Settings

# Source: VPC user guide, "VPC CIDR blocks": /16 is the largest. A subnet needs an address for every instance, every interface
# endpoint and the functions, besides the five that AWS keeps: half of a /24 has 123.
# Source: RFC 1918 and RFC 6598.
_PRIVATE: Final = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
_LARGEST_PREFIX: Final = 16
_SMALLEST_PREFIX: Final = 24


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """cidr: the addresses, private ones, such as '10.0.0.0/16'; no other network that is to be connected may have them.

    zones: availability zones; an interface endpoint costs by the hour in each. One would not outlast the zone's failure.
    """

    cidr: str = "10.0.0.0/16"
    zones: int = 2

    def __post_init__(self) -> None:
        require_range("zones", self.zones, 2, 3)
        try:
            network = ipaddress.IPv4Network(self.cidr)
        except ValueError as error:
            raise ConfigurationError(f"cidr is {self.cidr!r} ({error}); give a network such as '10.0.0.0/16'") from error
        if not any(network.subnet_of(private) for private in _PRIVATE):
            raise ConfigurationError(
                f"cidr is {self.cidr!r}; it must lie in {', '.join(map(str, _PRIVATE))}; give such as '10.0.0.0/16'"
            )
        if not _LARGEST_PREFIX <= network.prefixlen <= _SMALLEST_PREFIX:
            raise ConfigurationError(
                f"cidr is {self.cidr!r}; its prefix must be /{_LARGEST_PREFIX} to /{_SMALLEST_PREFIX}; change it in "
                "infra/environments.py"
            )

    @property
    def subnets(self) -> tuple[str, ...]:
        """One for each zone, of equal size."""
        # As many as the next power of two holds.
        bits = (self.zones - 1).bit_length()
        return tuple(str(each) for each in ipaddress.IPv4Network(self.cidr).subnets(bits))[: self.zones]
