"""What identity's routes take and give."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cloud.api.dependencies import KeyHex, Slug, Text, When

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Password = Annotated[str, StringConstraints(min_length=8, max_length=256)]


class Request(BaseModel):
    """Base of request bodies: unknown fields are refused, so that a typo is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewOwner(Request):
    """Someone who can sign in."""

    email: Email
    password: Password


class SignIn(Request):
    """Email and password."""

    email: Annotated[str, StringConstraints(max_length=254)]
    password: Annotated[str, StringConstraints(max_length=256)]


class SignedIn(BaseModel):
    """The token to send as ``Authorization: Bearer ...``."""

    token: str
    owner_id: str
    expires_at: datetime


class OwnerId(BaseModel):
    """A new owner."""

    owner_id: str


class NewHousehold(Request):
    """A household; the operator names its owner."""

    name: Text
    owner_id: Slug | None = None


class NewSite(Request):
    """A gateway's key for a site; an existing site of the household gets the new key."""

    site_id: Slug
    gateway_public_key: KeyHex
    household_id: Slug | None = None


class NewPet(Request):
    """A pet; the household may be left out by who has one."""

    name: Text
    species: Text = "dog"
    pet_id: Slug | None = None
    household_id: Slug | None = None


class NewCollar(Request):
    """A collar and the pet that wears it; the site may be left out by who has one."""

    pet_id: Slug
    collar_id: Slug | None = None
    site_id: Slug | None = None
    public_key: KeyHex | None = None
    assigned_at: When | None = None
    """Since when; now when it is left out. Messages observed before it are not taken."""


class Assign(Request):
    """Another pet for a collar."""

    pet_id: Slug
    at: When | None = None


class NewWearer(Request):
    """A pet and its collar."""

    name: Text
    species: Text = "dog"
    pet_id: Slug | None = None
    collar_id: Slug | None = None
    public_key: KeyHex | None = None
    assigned_at: When | None = None


class Enrol(Request):
    """Many pets with their collars."""

    site_id: Slug
    household_id: Slug | None = None
    pets: Annotated[list[NewWearer], Field(min_length=1, max_length=5_000)]


class Enrolled(BaseModel):
    """A pet and its collar, as enrolled."""

    pet_id: str
    collar_id: str
