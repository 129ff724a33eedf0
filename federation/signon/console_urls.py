"""The addresses of this room inside the console."""

from django.contrib import admin
from django.urls import path

from federation.signon.views import testing

urlpatterns = [
    path("<slug:slug>/test/", admin.site.admin_view(testing.test_connection), name="test_connection"),
    path("tests/<str:trace_id>/", admin.site.admin_view(testing.connection_test_result), name="connection_test_result"),
]
