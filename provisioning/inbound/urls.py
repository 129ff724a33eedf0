"""/scim/v2 and everything below it."""

from django.urls import re_path

from provisioning.inbound.views import scim

urlpatterns = [re_path(r"^scim/v2(?P<path>/.*)?$", scim, name="scim")]
