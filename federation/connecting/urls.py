"""The addresses of the wizard, inside the console."""

from django.contrib import admin
from django.urls import path

from federation.connecting import views

urlpatterns = [
    path("new/", admin.site.admin_view(views.connect), name="connect_identity_provider"),
    path("new/save/", admin.site.admin_view(views.save), name="save_connection"),
    path("<slug:slug>/enable/", admin.site.admin_view(views.enable_connection), name="enable_connection"),
]
