"""One account made what it should be: computed from what the target holds, sent, and read back.

Runs in a thread that only talks to the target; what it found is written by whoever carries (provisioning.outbound.
deliver). Nothing here relies on what an earlier attempt did: its end may never have been seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from broker.delivery.models import Delivery
from broker.delivery.outcomes import Outcome, confirmed, failed, retry, skipped
from provisioning.outbound.connectors.base import Capabilities, Connector, Look, RemoteUser, TargetError
from provisioning.outbound.mapping import differences, digest, project
from provisioning.outbound.models import RemoteAccount
from provisioning.outbound.models.remote import GONE_STATES
from provisioning.outbound.outcomes import outcome_of
from provisioning.outbound.taking import check_unmarked, is_marked
from provisioning.outbound.wanted import Wanted

Aim, State = RemoteAccount.Aim, RemoteAccount.State
RACES = 3
"""How often a change is computed anew because somebody else changed the account meanwhile."""


@dataclass(frozen=True, slots=True)
class Job:
    """A delivery of one account, with what was known before it began.

    `before` is the account's state then. `may_create_from`: an attempt to create it was made whose end nobody saw, and
    what it sent may take effect until then. `is_known_absent`: an inventory of the target, read after it was wanted,
    did not show it.
    """

    delivery: Delivery
    account: RemoteAccount
    wanted: Wanted
    before: str = State.UNKNOWN
    may_create_from: datetime | None = None
    is_known_absent: bool = False

    @property
    def was_begun(self) -> bool:
        """Whether it may stand there by an attempt of ours."""
        return self.before == State.CREATING


@dataclass(slots=True)
class Done:
    """What became of a job: the outcome, and what is to be noted of the account ({column: value})."""

    job: Job
    outcome: Outcome
    noted: dict[str, Any] = field(default_factory=dict)
    was_adopted: bool = False
    has_lied: bool = False
    has_created: bool = False
    """Whether a request to create it went out."""


def ended(job: Job, error: TargetError) -> dict[str, Any]:
    """What is to be noted of an account whose creation ended like this.

    What was not sent, or refused, made nothing: it is as if it had not been tried. What failed with an answer is over,
    and may have made it. Where no answer came it may still be under way.
    """
    status = error.http_status
    if not error.is_sent or (status is not None and 400 <= status < 500):
        before = State.UNKNOWN if job.before == State.CREATING else job.before
        return {"state": before, "begun_at": None}
    return {"begun_at": None} if status is not None else {}


IsTaken = Callable[[RemoteUser, UUID], bool]
"""Whether an account there belongs to somebody else among our people."""


class Writer:
    """Brings accounts of one target in order."""

    def __init__(self, connector: Connector, mapping: dict[str, str], *, adoption: str) -> None:
        self._connector = connector
        self._mapping = mapping
        self._adoption = adoption
        self._can: Capabilities = connector.capabilities

    def bring(self, job: Job, is_taken: IsTaken) -> Done:
        """One account. Raises nothing of the target's."""
        done = Done(job, skipped("target.left_alone"))
        try:
            if job.wanted.aim == Aim.PRESENT:
                self._keep(done, is_taken)
            elif job.wanted.aim == Aim.DISABLED:
                self._close(done, is_taken)
            elif job.wanted.aim == Aim.GONE:
                self._delete(done, is_taken)
        except TargetError as error:
            done.outcome = outcome_of(error, now=timezone.now())
            if not done.has_created and job.may_create_from is None:
                done.noted = {"state": job.before, "begun_at": None} | done.noted
        return done

    # Kept

    def _keep(self, done: Done, is_taken: IsTaken) -> None:
        job = done.job
        if job.wanted.fault:
            done.outcome = failed("target.incomplete", job.wanted.fault)
            return
        there = self._find_own(done)
        if there is None and job.may_create_from is not None and job.may_create_from > timezone.now():
            wait = job.may_create_from - timezone.now()
            done.outcome = retry("target.end_unseen", "it is looked up again", after=wait, is_unanswered=False)
            return
        if there is None:
            there = self._create(done, is_taken)
        if there is not None:
            self._change(done, there)

    def _find_own(self, done: Done) -> RemoteUser | None:
        """The account that is ours already: by its id, else by our externalId."""
        job = done.job
        if job.account.remote_id and job.account.state not in GONE_STATES:
            there = self._connector.look_at(job.account.remote_id).user
            if there is not None:
                return there
            done.noted |= {"state": State.ABSENT, "remote_id": "", "etag": ""}
        elif job.is_known_absent:
            return None
        there = self._look(job).user
        if there is not None and not job.was_begun:
            done.was_adopted = True
        return there

    def _look(self, job: Job) -> Look:
        """By externalId; by name where the target cannot be asked for it, and then only one that carries ours."""
        external_id = str(job.wanted.person_id)
        if self._can.finds_external_id:
            return self._connector.look_for(external_id=external_id)
        look = self._connector.look_for(user_name=job.wanted.document.get("userName", ""))
        is_ours = look.user is not None and (look.user.external_id == external_id or self._is_unmarked(job, look.user))
        return look if is_ours else Look(None, look.digest, look.status)

    def _is_unmarked(self, job: Job, there: RemoteUser) -> bool:
        """A target that keeps no externalId shows what we created without one."""
        return job.was_begun and not there.external_id and not self._can.keeps_external_id

    def _create(self, done: Done, is_taken: IsTaken) -> RemoteUser | None:
        """The account that was made, or that stands in its way and becomes ours."""
        job = done.job
        done.has_created = True
        try:
            there = self._connector.create_user(job.wanted.body())
        except TargetError as error:
            done.noted |= ended(job, error)
            if error.code != "target.conflict":
                raise
            return self._adopt(done, is_taken, error)
        self._note_sent(done)
        return there

    def _adopt(self, done: Done, is_taken: IsTaken, conflict: TargetError) -> RemoteUser | None:
        """What answered 409 is found by externalId, then by name; never another person's, nor another system's."""
        job = done.job
        there = self._connector.look_for(external_id=str(job.wanted.person_id)).user if self._asks_by_id else None
        if there is None:
            there = self._connector.look_for(user_name=job.wanted.document["userName"]).user
        if there is None:
            done.outcome = failed("target.conflict", conflict.detail, status=conflict.http_status)
            return None
        if is_taken(there, job.wanted.person_id):
            done.outcome = failed("target.taken", conflict.detail, status=conflict.http_status)
            return None
        check_unmarked(there.external_id, job.wanted.person_id, adoption=self._adoption)
        done.was_adopted = not (job.was_begun and there.external_id == str(job.wanted.person_id))
        return there

    @property
    def _asks_by_id(self) -> bool:
        return self._can.finds_external_id

    def _change(self, done: Done, there: RemoteUser) -> None:
        """Send what differs, by what was read; when somebody else was quicker, read again."""
        wanted = done.job.wanted
        for _ in range(RACES):
            changes = self._changes(wanted, there)
            if not changes:
                self._confirm_kept(done, there)
                return
            try:
                shown = self._connector.change_user(there, changes)
            except TargetError as error:
                if error.code != "target.changed_meanwhile":
                    raise
                lost, look = error, self._connector.look_at(there.remote_id)
                if look.user is None:
                    raise
                there = look.user
            else:
                self._note_sent(done)
                self._confirm_kept(done, shown)
                return
        raise lost

    def _changes(self, wanted: Wanted, there: RemoteUser) -> dict[str, Any]:
        """{SCIM path: value} to set; None to remove."""
        differing = differences(wanted.document, project(self._mapping, there.resource))
        changes = {path: ours for path, (ours, _) in differing.items()}
        if there.active is False:
            changes["active"] = True
        if self._can.keeps_external_id and there.external_id != str(wanted.person_id):
            changes["externalId"] = str(wanted.person_id)
        return changes

    def _confirm_kept(self, done: Done, there: RemoteUser) -> None:
        wanted = done.job.wanted
        shown = project(self._mapping, there.resource)
        self._note_read(done, there, State.PRESENT, read_digest=digest(shown))
        if there.active is False:
            done.noted["state"] = State.DISABLED
            self._note_lie(done, there.status, "it is still closed")
            return
        differing = sorted(differences(wanted.document, shown))
        detail = f"the target shows {', '.join(differing)} otherwise" if differing else ""
        done.outcome = confirmed(there.answer_digest, status=there.status, detail=detail)
        done.noted["lied_at"] = None

    # Closed and deleted

    def _close(self, done: Done, is_taken: IsTaken) -> None:
        there = self._find_to_end(done, is_taken)
        if there is None:
            return
        if there.user is not None and there.user.active is False:
            self._confirm_closed(done, there)
            return
        remote_id = there.user.remote_id if there.user else done.job.account.remote_id
        if not self._can.closes:
            raise TargetError("target.not_offered", detail="the target does not close accounts")
        self._until_unraced(lambda held: self._connector.close_user(remote_id, there=held), remote_id, there.user)
        done.noted["sent_at"] = timezone.now()
        self._confirm_closed(done, self._connector.look_at(remote_id))

    def _delete(self, done: Done, is_taken: IsTaken) -> None:
        there = self._find_to_end(done, is_taken)
        if there is None:
            return
        remote_id = there.user.remote_id if there.user else done.job.account.remote_id
        etag = there.user.etag if there.user else ""
        self._connector.delete_user(remote_id, etag=etag)
        done.noted["sent_at"] = timezone.now()
        look = self._connector.look_at(remote_id)
        if look.user is None:
            self._confirm_gone(done, look, State.DELETED)
        else:
            self._note_read(done, look.user, State.PRESENT)
            self._note_lie(done, look.status, "it is still there")

    def _find_to_end(self, done: Done, is_taken: IsTaken) -> Look | None:
        """What is to be ended. None: it is not there, which is confirmed by the answer that said so.

        Somebody may have an account under their name that never became ours: it is not passed over as absent.

        What is known by its id and can be changed unread is not read first: there is one exchange less until somebody
        who left is out.
        """
        job = done.job
        if job.account.remote_id and job.account.state not in GONE_STATES:
            if not self._can.wants_if_match and (job.wanted.aim == Aim.GONE or self._can.method == "patch"):
                return Look(None, "", 0)
            look = self._connector.look_at(job.account.remote_id)
        else:
            look = self._look(job)
            if look.user is None:
                look = self._look_by_name(done, is_taken, look)
        if look.user is None:
            self._confirm_gone(done, look, State.ABSENT)
            return None
        return look

    def _look_by_name(self, done: Done, is_taken: IsTaken, unfound: Look) -> Look:
        """By the name under which it would have been adopted; `unfound` where that is another person's.

        An open one that another system marked as its own is not ours to end, and not passed over either.
        """
        wanted = done.job.wanted
        user_name = wanted.document.get("userName")
        if not user_name:
            return unfound
        look = self._connector.look_for(user_name=user_name)
        if look.user is not None and is_taken(look.user, wanted.person_id):
            return unfound
        if look.user is not None and is_marked(look.user.external_id, wanted.person_id, adoption=self._adoption):
            if look.user.active is False:
                return unfound
            check_unmarked(look.user.external_id, wanted.person_id, adoption=self._adoption)
        done.was_adopted = look.user is not None
        return look

    def _until_unraced(
        self, act: Callable[[RemoteUser | None], None], remote_id: str, there: RemoteUser | None
    ) -> None:
        for attempt in range(RACES):
            try:
                act(there)
            except TargetError as error:
                if error.http_status == 404:
                    return  # reading it back says so
                if error.code != "target.changed_meanwhile" or attempt == RACES - 1:
                    raise
                there = self._connector.look_at(remote_id).user
            else:
                return

    def _confirm_closed(self, done: Done, look: Look) -> None:
        if look.user is None:
            self._confirm_gone(done, look, State.ABSENT)
        elif look.user.active is False:
            self._note_read(done, look.user, State.DISABLED)
            done.noted["lied_at"] = None
            done.outcome = confirmed(look.digest, status=look.status)
        elif look.user.active is None:
            raise TargetError("target.not_offered", detail="the target does not show whether an account is active")
        else:
            self._note_read(done, look.user, State.PRESENT)
            self._note_lie(done, look.status, "it is still active")

    def _confirm_gone(self, done: Done, look: Look, state: RemoteAccount.State) -> None:
        done.noted |= {
            "state": state,
            "begun_at": None,
            "etag": "",
            "read_digest": "",
            "read_active": None,
            "read_at": timezone.now(),
            "answer_digest": look.digest,
            "lied_at": None,
        }
        done.outcome = confirmed(look.digest, status=look.status, detail="there is no account")

    # What is noted

    def _note_sent(self, done: Done) -> None:
        done.noted |= {"sent_digest": done.job.wanted.digest, "sent_at": timezone.now()}

    def _note_read(
        self, done: Done, there: RemoteUser, state: RemoteAccount.State, *, read_digest: str | None = None
    ) -> None:
        if read_digest is None:
            read_digest = digest(project(self._mapping, there.resource))
        done.noted |= {
            "remote_id": there.remote_id,
            "state": state,
            "begun_at": None,
            "etag": there.etag,
            "read_digest": read_digest,
            "read_active": there.active,
            "read_at": timezone.now(),
            "answer_digest": there.answer_digest,
        }

    def _note_lie(self, done: Done, status: int, detail: str) -> None:
        done.noted["lied_at"] = done.job.account.lied_at or timezone.now()
        done.has_lied = True
        done.outcome = retry("target.lied", detail, status=status, is_unanswered=False)
