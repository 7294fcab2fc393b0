"""How often somebody may ask for tweets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from example_site.limits import address, seconds_to_wait

if TYPE_CHECKING:  # which imports its defaults, and this is one
    from rest_framework.views import APIView

__all__ = ["PerMinute"]


class PerMinute(BaseThrottle):
    """So many requests in each minute: of an account, or of an address without one."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count a request, and return whether it is still within the limit."""
        account = request.user.pk if request.user else None
        who = f"account:{account}" if account else f"address:{address(request)}"
        limit = settings.THROTTLE_ACCOUNT if account else settings.THROTTLE_ANONYMOUS
        self._left = seconds_to_wait(who, limit)
        return not self._left

    def wait(self) -> float:
        """Return the seconds until the next minute begins, float."""
        return self._left
