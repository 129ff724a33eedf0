from django.urls import path

from provisioning.leaver import api

urlpatterns = [
    path("api/v1/leavers", api.Leavers.as_view(), name="api_leavers"),
    path("api/v1/leavers/<uuid:case_id>", api.OneLeaver.as_view(), name="api_leaver"),
    path("api/v1/leavers/<uuid:case_id>/export", api.LeaverExport.as_view(), name="api_leaver_export"),
]
