"""Operators in the console: what each role may do, and what no page gives away."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse

from broker.console.models import Operator
from broker.console.navigation import GROUPS
from broker.events.models import Event

pytestmark = pytest.mark.django_db
ADD = "/admin/console/operator/add/"


def page_of(operator: Operator, name: str = "change") -> str:
    return f"/admin/console/operator/{operator.pk}/{name}/"


def reset_page_of(operator: Operator) -> str:
    return reverse("admin:console_operator_reset_password", args=[operator.pk])


def test_a_made_operator_signs_in_with_the_password_that_is_shown_once(console, sign_in, client):
    answer = console.post(ADD, {"email": "Bob@Acme.example", "name": "Bob", "role": "viewer", "person": ""})
    password = re.search(r"(?:[2-9a-z]{5}-){3}[2-9a-z]{5}", answer.content.decode()).group()
    bob = Operator.objects.get(email="bob@acme.example")
    assert bob.check_password(password)
    assert password not in console.get(page_of(bob)).content.decode()
    assert password not in str(console.cookies)
    assert Event.objects.get(type="operator.created").actor_id == "ada@acme.example"
    assert sign_in("bob@acme.example", password)["Location"] == "/admin/"


def test_an_address_that_has_an_account_is_refused_on_the_form(console):
    answer = console.post(ADD, {"email": "ADA@acme.example", "name": "Ada", "role": "viewer", "person": ""})
    assert "already exists" in answer.content.decode()
    assert Operator.objects.count() == 1


def test_no_page_shows_a_password_hash(console):
    ada = Operator.objects.get()
    for page in ("/admin/console/operator/", page_of(ada), page_of(ada, "history"), "/admin/"):
        text = console.get(page).content.decode()
        assert ada.password not in text
        assert "md5$" not in text


def test_a_posted_password_or_flag_changes_nothing(console, make_operator):
    bob = make_operator("bob@acme.example", role="viewer", must_change_password=True)
    form = {"name": "Bob", "role": "viewer", "is_active": "on", "person": ""}
    smuggled = {"password": "plain", "must_change_password": "", "email": "eve@acme.example", "is_superuser": "on"}
    assert console.post(page_of(bob), form | smuggled).status_code == 302
    changed = Operator.objects.get(pk=bob.pk)
    assert (changed.password, changed.email, changed.must_change_password) == (bob.password, bob.email, True)


def test_operators_cannot_demote_themselves_in_the_console(console):
    ada = Operator.objects.get()
    answer = console.post(page_of(ada), {"name": "Ada", "role": "viewer", "is_active": "on", "person": ""}, follow=True)
    assert "cannot demote or close your own account" in answer.content.decode()
    ada.refresh_from_db()
    assert ada.role == "operator"
    assert not Event.objects.filter(type="operator.changed").exists()


def test_operators_can_demote_another(console, make_operator):
    bob = make_operator("bob@acme.example")
    console.post(page_of(bob), {"name": "Bob", "role": "viewer", "is_active": "on", "person": ""})
    bob.refresh_from_db()
    assert bob.role == "viewer"
    assert Event.objects.get(type="operator.changed").actor_id == "ada@acme.example"


def test_nobody_deletes_operators(console, make_operator):
    bob = make_operator("bob@acme.example")
    assert console.post(page_of(bob, "delete"), {"post": "yes"}).status_code == 403
    assert Operator.objects.filter(pk=bob.pk).exists()


def test_a_link_resets_nobody(console, make_operator):
    bob = make_operator("bob@acme.example")
    answer = console.get(reset_page_of(bob))
    assert "Reset the password of bob@acme.example?" in answer.content.decode()
    bob.refresh_from_db()
    assert bob.check_password("correct-horse-battery")


def test_a_reset_shows_the_new_password_once(console, make_operator):
    bob = make_operator("bob@acme.example")
    answer = console.post(reset_page_of(bob))
    password = re.search(r"(?:[2-9a-z]{5}-){3}[2-9a-z]{5}", answer.content.decode()).group()
    bob.refresh_from_db()
    assert bob.check_password(password)
    assert answer["Cache-Control"] == "no-store"
    assert Event.objects.get(type="operator.reset").actor_id == "ada@acme.example"


def test_viewers_see_operators_and_change_none(viewer_console, make_operator):
    bob = make_operator("bob@acme.example")
    before = Operator.objects.values().get(pk=bob.pk)
    assert viewer_console.get("/admin/console/operator/").status_code == 200
    assert viewer_console.get(page_of(bob)).status_code == 200
    assert viewer_console.get(ADD).status_code == 403
    assert viewer_console.post(ADD, {"email": "eve@acme.example", "name": "Eve", "role": "operator"}).status_code == 403
    assert viewer_console.post(page_of(bob), {"name": "Eve", "role": "viewer"}).status_code == 403
    assert viewer_console.post(reset_page_of(bob)).status_code == 403
    assert Operator.objects.values().get(pk=bob.pk) == before
    assert Operator.objects.count() == 2


@pytest.mark.parametrize("action", ["add", "change", "delete"])
def test_a_viewer_may_only_view(make_operator, action):
    viewer = make_operator(role="viewer")
    assert viewer.has_perm("registry.view_client")
    assert not viewer.has_perm(f"registry.{action}_client")
    assert not viewer.has_perms(["registry.view_client", f"registry.{action}_client"])


@pytest.mark.parametrize("action", ["view", "add", "change", "delete"])
def test_a_closed_operator_may_nothing(make_operator, action):
    closed = make_operator(is_active=False)
    assert not closed.has_perm(f"registry.{action}_client")
    assert not closed.has_module_perms("registry")


def test_strangers_are_led_to_the_entrance(client):
    for page in ("/admin/", "/admin/console/operator/", "/admin/traces/trace/", "/admin/password_change/"):
        answer = client.get(page)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/")


def test_groups_of_django_have_no_page():
    assert not admin.site.is_registered(Group)


def test_everything_that_is_registered_stands_in_the_sidebar_once():
    registered = {model._meta.label for model in admin.site._registry}
    listed = [label for entries in GROUPS.values() for _, _, label in entries]
    assert len(listed) == len(set(listed))
    assert registered <= set(listed)


def test_the_console_is_ours_and_not_unfolds_own():
    assert admin.site.login.__module__ == "broker.console.site"
    assert admin.site.index_title == "Overview"
