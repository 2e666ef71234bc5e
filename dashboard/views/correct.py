"""One click says what an animal really does; it counts at once, and can be taken back."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

import streamlit as st

from dashboard import reader
from dashboard.answers import Pet
from dashboard.day import Stretch, around
from dashboard.errors import GatewayTrouble
from dashboard.markup import note, tag
from dashboard.watch import Look
from dashboard.words import SAYABLE, UNSURE, capital, clock, doing, named
from dashboard.words_sharing import why_shared

REMEMBERED = timedelta(minutes=2)  # that a correction can be taken back with one click


@dataclass(frozen=True, slots=True)
class Choice:
    """A part of the day that the reader has chosen to correct."""

    begins_at: datetime
    ends_at: datetime
    behaviour: str


@dataclass(frozen=True, slots=True)
class Said:
    """The last thing the reader said of a pet."""

    correction_id: str
    behaviour: str
    begins_at: datetime
    ends_at: datetime
    shared: bool
    why: str
    said_at: datetime


def choose(pet_id: str, stretch: Stretch, at: datetime) -> None:
    """The reader has pointed at a stretch of the day."""
    begin, end = around(stretch, at)
    st.session_state[f"choice-{pet_id}"] = Choice(begin, end, stretch.behaviour)
    st.session_state.pop(f"said-{pet_id}", None)


def chosen_span(pet_id: str) -> tuple[datetime, datetime] | None:
    """The part of the day that is chosen, if one is."""
    choice: Choice | None = st.session_state.get(f"choice-{pet_id}")
    return None if choice is None else (choice.begins_at, choice.ends_at)


def draw_correction(pet: Pet, look: Look, now: datetime, zone: tzinfo) -> None:
    """Ask whether the collar is right, or what the pet did in the part that was chosen."""
    if look.trouble is not None:
        return
    if look.corrections.get(pet.pet_id, ()) is None:
        told = "This home's gateway is of an older version, which cannot take corrections."
        st.html(note("update", told))
        return
    wrong: str | None = st.session_state.get(f"wrong-{pet.pet_id}")
    if wrong is not None:
        st.html(note("error", wrong, "low", role="alert"))
    choice: Choice | None = st.session_state.get(f"choice-{pet.pet_id}")
    if choice is not None:
        _draw_choice(pet, choice, zone)
        return
    said: Said | None = st.session_state.get(f"said-{pet.pet_id}")
    if said is not None and now - said.said_at < REMEMBERED:
        _draw_said(pet, said, zone)
        return
    if pet.behaviour_at is None or pet.behaviour_until is None or pet.stale:
        return
    _draw_question(pet, pet.behaviour_at, pet.behaviour_until)


def _draw_question(pet: Pet, begin: datetime, end: datetime) -> None:
    does, name = pet.does or UNSURE, named(pet.name, 24)
    opened = f"ask-{pet.pet_id}"
    with st.container(
        key=f"question-{pet.pet_id}", horizontal=True, vertical_alignment="center", gap="small"
    ):
        if does == UNSURE:
            st.html(tag("div", "pm-ask", f"What is {name} doing?"), width="content")
        else:
            st.html(tag("div", "pm-ask", f"Is {name} {doing(does).text}?"), width="content")
            st.button(
                "Yes",
                key=f"confirm-{pet.pet_id}",
                icon=":material/check:",
                on_click=_say,
                args=(pet.pet_id, begin, end, does),
            )
        st.button(
            "Tell" if does == UNSURE else "No, …",
            key=f"correct-{pet.pet_id}",
            type="secondary",
            on_click=_toggle,
            args=(opened,),
        )
    if st.session_state.get(opened):
        st.html(tag("div", "pm-ask", f"{name} is …"))
        _draw_chips(pet, begin, end, does)


def _draw_choice(pet: Pet, choice: Choice, zone: tzinfo) -> None:
    span = f"{clock(choice.begins_at, zone)}–{clock(choice.ends_at, zone)}"
    told = f"{span}: mostly {doing(choice.behaviour).text}. What was it really?"
    with st.container(key=f"chosen-{pet.pet_id}"):
        st.html(tag("div", "pm-ask", told, role="status"))
        _draw_chips(pet, choice.begins_at, choice.ends_at, None)
        st.button(
            "Leave it",
            key=f"leave-{pet.pet_id}",
            type="tertiary",
            on_click=st.session_state.pop,
            args=(f"choice-{pet.pet_id}", None),
        )


def _draw_chips(pet: Pet, begin: datetime, end: datetime, but: str | None) -> None:
    with st.container(key=f"chips-{pet.pet_id}", horizontal=True, gap="small"):
        for behaviour in SAYABLE:
            if behaviour == but:
                continue
            shown = doing(behaviour)
            st.button(
                capital(shown.text),
                key=f"correct-{pet.pet_id}-{behaviour}",
                icon=f":material/{shown.icon}:",
                on_click=_say,
                args=(pet.pet_id, begin, end, behaviour),
            )


def _draw_said(pet: Pet, said: Said, zone: tzinfo) -> None:
    span = f"{clock(said.begins_at, zone)}–{clock(said.ends_at, zone)}"
    told = f"Noted: {doing(said.behaviour).text}, {span}. "
    with st.container(
        key=f"noted-{pet.pet_id}", horizontal=True, vertical_alignment="center", gap="small"
    ):
        where = "cloud_upload" if said.shared else "home"
        st.html(
            note(where, told + why_shared(said.why, shared=said.shared), "good", role="status"),
            width="stretch",
        )
        st.button(
            "Undo",
            key=f"undo-{pet.pet_id}",
            icon=":material/undo:",
            on_click=_take_back,
            args=(pet.pet_id, said.correction_id),
        )


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key)


def _say(pet_id: str, begin: datetime, end: datetime, behaviour: str) -> None:
    if not reader.allowed():
        return
    try:
        answer = reader.house().gateway.correct(pet_id, begin, end, behaviour)
    except GatewayTrouble as error:
        st.session_state[f"wrong-{pet_id}"] = f"It was not taken. {error}"
        return
    for name in ("wrong", "choice", "ask"):
        st.session_state.pop(f"{name}-{pet_id}", None)
    st.session_state[f"said-{pet_id}"] = Said(
        correction_id=answer.correction_id,
        behaviour=behaviour,
        begins_at=begin,
        ends_at=end,
        shared=answer.shared,
        why=answer.why,
        said_at=reader.now(),
    )
    reader.watch().said_something(pet_id)


def _take_back(pet_id: str, correction_id: str) -> None:
    if not reader.allowed():
        return
    try:
        reader.house().gateway.take_back(pet_id, correction_id)
    except GatewayTrouble as error:
        st.session_state[f"wrong-{pet_id}"] = f"It could not be taken back. {error}"
        return
    for name in ("wrong", "said"):
        st.session_state.pop(f"{name}-{pet_id}", None)
    reader.watch().said_something(pet_id)
