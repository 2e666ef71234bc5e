"""Who may see the page: signing in, what a browser keeps of it, and the gate before everything."""

from dashboard.access.door import Door, Refused
from dashboard.access.sessions import Sessions, Signed, cookie_name

__all__ = ["Door", "Refused", "Sessions", "Signed", "cookie_name"]
