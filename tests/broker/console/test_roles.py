"""Whatever a room registers: viewers see it and change nothing, and nobody's page fails."""

import pytest
from django.contrib import admin
from django.urls import reverse

from broker.console.models import Operator

pytestmark = pytest.mark.django_db
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
READING_ACTIONS = {"export_csv", "export_json_lines"}


@pytest.fixture(params=MODELS, ids=lambda model: model._meta.label)
def model(request):
    return request.param


def page(model, name: str) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}")


def test_a_viewer_opens_every_list(viewer_console, model):
    assert viewer_console.get(page(model, "changelist")).status_code == 200


def test_every_list_can_be_searched_for_anything(viewer_console, model):
    for text in ("acme", "ü", "%", "x" * 300, "1"):
        assert viewer_console.get(page(model, "changelist"), {"q": text}).status_code in {200, 302}


def test_a_viewer_may_change_nothing(make_operator, rf, model):
    request = rf.get("/admin/")
    request.user = make_operator(role=Operator.Role.VIEWER)
    model_admin = admin.site.get_model_admin(model)
    assert model_admin.has_view_permission(request)
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_delete_permission(request)


def test_a_viewer_gets_no_form_to_add_anything(viewer_console, model):
    for method in (viewer_console.get, viewer_console.post):
        assert method(page(model, "add")).status_code == 403


def test_a_viewer_is_offered_only_actions_that_read(make_operator, rf, model):
    request = rf.get("/admin/")
    request.user = make_operator(role=Operator.Role.VIEWER)
    model_admin = admin.site.get_model_admin(model)
    assert set(model_admin.get_actions(request)) <= READING_ACTIONS
    assert not model_admin.get_actions_list(request)
    assert not model_admin.get_actions_row(request)
    assert not model_admin.get_actions_detail(request, 1)
