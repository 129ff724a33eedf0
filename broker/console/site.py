"""The admin site as the security team sees it."""

from unfold.sites import UnfoldAdminSite


class ConsoleSite(UnfoldAdminSite):
    """The console."""

    site_title = "Countersign"
    site_header = "Countersign"
