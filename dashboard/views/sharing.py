"""Sharing: what leaves the house, what it earned and why, and what was learned from it."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo

import streamlit as st

from dashboard import reader
from dashboard.answers import Granted, Pet
from dashboard.cloud import Cloud
from dashboard.errors import CloudTrouble, SignedOut
from dashboard.ledger import Ledger
from dashboard.markup import Html, chip, icon, note, tag
from dashboard.views.earned import draw_earned
from dashboard.views.frame import draw_trouble, heading, title
from dashboard.views.learned import draw_learned
from dashboard.views.left import draw_left
from dashboard.watch import Look
from dashboard.words import clock_time, named
from dashboard.words_sharing import OFFERS, PRECISIONS, SPANS, Offer

REFRESH_S = 4.0
OPEN_PETS = 6  # with more, each pet's permissions are folded
LEAD = "Nothing leaves this house unless you say so here, and you can take it back."
NO_TOKEN = (
    "You signed in while the cloud was away. To see and change what is shared, sign out and "
    "sign in again now that you need it."
)


def draw() -> None:
    """Draw the page."""
    _live()


@st.fragment(run_every=REFRESH_S)
def _live() -> None:
    signed = reader.require()
    now, zone = reader.now(), reader.zone()
    look = reader.watch().look(now)
    ledger: Ledger = st.session_state.setdefault("ledger", Ledger())
    at = reader.house()
    st.html(heading("Sharing", LEAD, look, now, zone))
    draw_trouble(look, now, zone)
    if at.cloud is None or signed.token is None:
        ledger.look_at_collars(at.gateway)
        st.html(note("cloud_off", NO_TOKEN, "low"))
    else:
        if ledger.asked_at is None:
            with st.spinner("Asking the cloud …"):
                ledger.look(now, at.cloud, signed.token, at.gateway)
        else:
            ledger.look(now, at.cloud, signed.token, at.gateway)
        if ledger.signed_out:
            at.door.sessions.close(signed.session)
            st.rerun()
        with st.container(key="cloud-trouble"):
            if ledger.trouble is not None:
                told = f"{ledger.trouble} Your animals and their alerts do not need it. "
                told += "What was shared before is shown as it was; it is asked again by itself."
                st.html(note("cloud_off", told, "low", role="status"))
    wrong = st.session_state.get("sharing-wrong")
    if wrong:
        st.html(note("error", wrong, "low", role="alert"))
    left, right = st.columns([1.5, 1], gap="medium")
    with left:
        _draw_grants(look, ledger, now, zone)
        draw_left(look, now)
    with right:
        draw_earned(ledger, now, zone)
        draw_learned(look, ledger, now, zone)


def _draw_grants(look: Look, ledger: Ledger, now: datetime, zone: tzinfo) -> None:
    if ledger.grants is None:
        if ledger.trouble is None and ledger.asked_at is not None:
            st.html(tag("div", "pm-skeleton"))
        elif ledger.trouble is not None:
            with st.container(border=True, key="grants-away"):
                st.html(note("cloud_off", "What you allow is kept in the cloud, which is away."))
        return
    for pet in look.pets:
        active = [g for g in ledger.grants if g.pet_id == pet.pet_id and g.active_at(now)]
        with st.container(border=True, key=f"sharing-{pet.pet_id}"):
            shared = f"{len(active)} shared" if active else "nothing shared"
            st.html(title(named(pet.name), shared))
            if len(look.pets) > OPEN_PETS and not st.toggle(
                "Show what can be shared", key=f"sharing-show-{pet.pet_id}"
            ):
                continue
            for stream, offer in OFFERS.items():
                mine = [grant for grant in active if grant.stream == stream]
                _draw_stream(pet, stream, offer, mine, now, zone)


def _draw_stream(
    pet: Pet, stream: str, offer: Offer, active: Sequence[Granted], now: datetime, zone: tzinfo
) -> None:
    name = f"{stream}-{pet.pet_id}"
    opened = f"offer-{name}"
    with st.container(key=f"row-{name}", horizontal=True, vertical_alignment="center", gap="small"):
        state = chip("check_circle", "shared", "good") if active else chip("lock", "stays at home")
        st.html(
            tag(
                "div",
                "pm-stream",
                icon(offer.icon),
                tag("div", "", tag("strong", "", offer.title), " ", state),
            ),
            width="stretch",
        )
        if not active:
            st.button(
                "Not now" if st.session_state.get(opened) else "Share …",
                key=f"grant-{name}",
                on_click=_toggle,
                args=(opened,),
            )
    for index, grant in enumerate(active):
        suffix = "" if index == 0 else f"-{index + 1}"
        with st.container(
            key=f"given-{name}{suffix}", horizontal=True, vertical_alignment="center", gap="small"
        ):
            st.html(_given(grant, now, zone), width="stretch")
            st.button(
                "Take back",
                key=f"withdraw-{name}{suffix}",
                icon=":material/block:",
                on_click=_withdraw,
                args=(grant.grant_id,),
            )
    if not active and st.session_state.get(opened):
        _draw_offer(pet, stream, offer, name, opened)


def _given(grant: Granted, now: datetime, zone: tzinfo) -> Html:
    until = "for good" if grant.expires_at is None else f"until {grant.expires_at:%d %b %Y}"
    parts = [f"for {named(grant.purpose)}", f"to {named(grant.recipient)}"]
    if grant.stream == "position":
        parts.append(PRECISIONS.get(grant.precision, grant.precision))
    parts += [f"since {clock_time(grant.valid_from, zone, now)}", until]
    return tag("div", "pm-given", " · ".join(parts))


def _draw_offer(pet: Pet, stream: str, offer: Offer, name: str, opened: str) -> None:
    with st.container(key=f"offered-{name}", border=True):
        st.html(
            tag(
                "dl",
                "pm-offer",
                tag("dt", "", "What leaves the house"),
                tag("dd", "", offer.leaves),
                tag("dt", "", "What it is for"),
                tag("dd", "", offer.use),
                tag("dt", "", "What you get"),
                tag("dd", "", "Tokens for what is new and proven by the collar's signature."),
                tag("dt", "", "If you take it back"),
                tag("dd", "", "Nothing more leaves. What has left stays until its time is over."),
            )
        )
        precision = "exact"
        if stream == "position":
            precision = st.segmented_control(
                "How exactly",
                list(PRECISIONS),
                default="1km",
                format_func=lambda each: PRECISIONS[each],
                key=f"precision-{name}",
                required=True,
            )
        span = st.segmented_control(
            "For how long", list(SPANS), default="for good", key=f"span-{name}", required=True
        )
        st.button(
            "Yes, share this",
            key=f"give-{name}",
            type="primary",
            icon=":material/volunteer_activism:",
            on_click=_give,
            args=(pet.pet_id, stream, offer.purpose, precision or "10km", span, opened),
        )


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key)


def _give(
    pet_id: str, stream: str, purpose: str, precision: str, span: str | None, opened: str
) -> None:
    days = SPANS.get(span or "for good")
    expires_at = None if days is None else reader.now() + timedelta(days=days)

    def give(cloud: Cloud, token: str) -> object:
        return cloud.grant(
            token,
            pet_id=pet_id,
            stream=stream,
            purpose=purpose,
            precision=precision,
            expires_at=expires_at,
        )

    if _do(give):
        st.session_state.pop(opened, None)


def _withdraw(grant_id: str) -> None:
    _do(lambda cloud, token: cloud.withdraw(token, grant_id))


def _do(act: Callable[[Cloud, str], object]) -> bool:
    signed, cloud = reader.signed_in(), reader.house().cloud
    if signed is None or signed.token is None or cloud is None:
        return False
    ledger: Ledger = st.session_state.setdefault("ledger", Ledger())
    try:
        act(cloud, signed.token)
    except SignedOut:
        ledger.signed_out = True
        return False
    except CloudTrouble as error:
        st.session_state["sharing-wrong"] = f"Nothing was changed. {error}"
        return False
    st.session_state.pop("sharing-wrong", None)
    ledger.changed()
    return True
