"""Models on their way to collars: from the cloud's word to the collar's, through any death."""

from gateway.deliveries.courier import Courier
from gateway.deliveries.packages import Packages
from gateway.deliveries.reports import Reports

__all__ = ["Courier", "Packages", "Reports"]
