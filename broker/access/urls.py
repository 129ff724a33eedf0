from django.urls import path

from broker.access import views

urlpatterns = [
    path("access/v1/evaluation", views.evaluation, name="access_evaluation"),
    path("access/v1/evaluations", views.evaluations, name="access_evaluations"),
    path("access/v1/search/subject", views.search_subject, name="access_search_subject"),
    path("access/v1/search/resource", views.search_resource, name="access_search_resource"),
    path("access/v1/search/action", views.search_action, name="access_search_action"),
    path(".well-known/authzen-configuration", views.metadata, name="authzen_configuration"),
]
