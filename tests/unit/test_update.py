"""Models over the air, as the collar sees them: taken, refused, and what a cut leaves of them."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from collar_sim.firmware.boot import booted
from collar_sim.firmware.collar import Collar
from collar_sim.firmware.link.downlink import Downlink
from collar_sim.firmware.log.flash import Flash
from collar_sim.firmware.log.sealer import SealingKey
from collar_sim.firmware.models.classifier import micro_available
from collar_sim.firmware.models.shelf import Shelf
from collar_sim.firmware.models.slots import Engine
from collar_sim.firmware.models.standing import REFUSALS_KEPT, Refusal, Spare
from gateway.wire.messages import Desired, ModelAnswer, ModelChunk, ModelOffer, ModelState
from gateway.wire.release import ModelRefusal, Release, WrongRelease
from plugins.sdk.manifest import COLLAR_BUDGET, Input, Place
from tests.releases import (
    KEY,
    OTHER_KEY,
    PUBLIC,
    SHIPPED,
    bad_release,
    chunks_of,
    golden_of,
    manifest_of,
    offer_of,
    raw_of,
    release_of,
)
from tests.unit import test_admission

AT = datetime(2026, 5, 1, 8, tzinfo=UTC)
COLLAR_KEY = SealingKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))), b"s" * 32)
RAW = raw_of()
ENGINES = [
    Engine.LITERT,
    pytest.param(
        Engine.MICRO,
        marks=pytest.mark.skipif(not micro_available(), reason="tflite-micro has no wheel here"),
    ),
]
SHELF = Shelf()  # what one fleet would share


class Unit:
    """One collar with a real flash, booted; `test` does with what is complete what a fleet does."""

    def __init__(
        self, flash: Flash, engine: Engine = Engine.LITERT, key: bytes | None = PUBLIC
    ) -> None:
        self.flash = flash
        self.engine = engine
        self.log = flash.logs["c1"]
        self.shipped, _ = SHELF.shipped(SHIPPED, engine)
        standing, self.models = booted(flash.models, self.log, key, SHELF, self.shipped, engine)
        self.collar = Collar(self.log, COLLAR_KEY, AT)
        self.downlink = Downlink("home", self.collar, flash.models, standing)
        self.complete: list[tuple[str, Spare]] = []
        self.downlink.on_complete = lambda _, slot, spare: self.complete.append((slot, spare))

    def say(self, *messages: ModelOffer | ModelChunk | Desired) -> list[ModelAnswer]:
        return self.downlink.take(messages)

    def test(self) -> ModelAnswer:
        """Judge what is complete, and switch or refuse."""
        (slot, spare) = self.complete.pop()
        try:
            model = SHELF.judged(spare.release, spare.model, self.engine)
        except WrongRelease as error:
            return self.downlink.refuse(slot, Refusal(error.reason, error.detail))[0]
        number, step = self.downlink.switching(slot, model.package.manifest)
        self.flash.commit(models=[(number, step.writes)])
        self.downlink.standing = step.standing
        return step.answers[0]

    def deliver(self, release: Release, raw: bytes, rollout: str = "r1") -> ModelAnswer:
        """Everything from the offer to the verdict."""
        offer = offer_of(release, rollout)
        (answer,) = self.say(offer)
        for chunk in chunks_of(offer, raw):
            if answer.state is not ModelState.RECEIVING:
                return answer
            assert answer.next_chunk == chunk.index
            (answer,) = self.say(chunk)
        return self.test() if self.complete else answer

    def version(self, slot: str = "activity") -> str:
        """What the slot runs."""
        return self.downlink.standing.held[slot].manifest.version


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sim"


@pytest.fixture
def flash(folder: Path) -> Generator[Flash]:
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        yield flash


@pytest.fixture
def unit(flash: Flash) -> Unit:
    return Unit(flash)


def rows(folder: Path) -> dict[tuple[str, str], tuple[bytes, bytes]]:
    """By slot and state, release and model as they lie in flash."""
    with closing(sqlite3.connect(folder / "flash.sqlite")) as db:
        found = db.execute("SELECT slot, state, release, model FROM model_slot").fetchall()
    return {(slot, state): (release, model) for slot, state, release, model in found}


def reboot(folder: Path, engine: Engine = Engine.LITERT, key: bytes | None = PUBLIC) -> Unit:
    """What a new process finds in this flash (only read: its file is closed again)."""
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        return Unit(flash, engine, key)


# a good model


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("slot", ["activity", "anomaly"])
def test_a_good_model_is_received_tested_and_runs_after_every_boot(
    folder: Path, slot: str, engine: Engine
):
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash, engine)
        assert unit.version(slot) != "9.0.0"
        answer = unit.deliver(release_of(slot, "9.0.0"), raw_of(slot))
        assert (answer.state, answer.reason) == (ModelState.INSTALLED, None)
    again = reboot(folder, engine)
    assert again.version(slot) == again.models[slot].package.manifest.version == "9.0.0"
    assert again.downlink.standing.held[slot].rollout == "r1"
    assert rows(folder).keys() == {(slot, "active")}


def test_every_answer_is_true_of_the_flash_when_it_is_given(folder: Path, unit: Unit):
    offer = offer_of(release_of(), chunk_bytes=1_000)
    unit.say(offer)
    for chunk in chunks_of(offer, RAW):
        (answer,) = unit.say(chunk)
        kept = rows(folder)["activity", "receiving"][1]
        assert kept == RAW[: len(kept)]
        assert answer.next_chunk == -(-len(kept) // 1_000) == chunk.index + 1


def test_a_delivery_goes_on_after_a_boot_where_it_stood(folder: Path):
    offer = offer_of(release_of())
    chunks = chunks_of(offer, RAW)
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        Unit(flash).say(offer, *chunks[:2])
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash)
        (answer,) = unit.say(offer)
        assert (answer.state, answer.next_chunk) == (ModelState.RECEIVING, 2)
        unit.say(*chunks[2:])
        assert unit.test().state is ModelState.INSTALLED


def test_the_one_before_is_kept_and_the_one_before_that_is_not(folder: Path, flash: Flash):
    unit = Unit(flash)
    for n in range(3):
        release = release_of(version=f"9.0.{n}")
        assert unit.deliver(release, RAW, f"r{n}").state is ModelState.INSTALLED
    kept = {
        state: msgspec.msgpack.decode(release)["version"]
        for (_, state), (release, _) in rows(folder).items()
    }
    assert kept == {"active": "9.0.2", "previous": "9.0.1"}


def test_a_second_offer_of_what_runs_is_answered_installed_also_under_another_name(unit: Unit):
    release = release_of()
    unit.deliver(release, RAW)
    for rollout in ("r1", "r2"):
        (answer,) = unit.say(offer_of(release, rollout))
        assert answer.state is ModelState.INSTALLED
    (answer,) = unit.say(chunks_of(offer_of(release), RAW)[3])
    assert answer.state is ModelState.INSTALLED, "a chunk that came late"


def test_what_ships_is_not_sent_again(unit: Unit):
    manifest, raw = manifest_of(version=unit.version()), RAW
    release = Release.signed(KEY, slot="activity", manifest=manifest, size=len(raw), golden=b"")
    (answer,) = unit.say(offer_of(release))
    assert answer.state is ModelState.INSTALLED


def test_the_newest_offer_wins_and_the_other_is_told(folder: Path, unit: Unit):
    first = offer_of(release_of(version="9.0.0"), "r1")
    unit.say(first, *chunks_of(first, RAW)[:3])
    superseded, answer = unit.say(offer_of(release_of(version="9.0.1"), "r2"))
    assert (superseded.rollout, superseded.reason) == ("r1", ModelRefusal.SUPERSEDED)
    assert (answer.rollout, answer.next_chunk) == ("r2", 0)
    assert rows(folder)["activity", "receiving"][1] == b""
    assert unit.say(chunks_of(first, RAW)[3]) == [], "nobody waits for it any more"


def test_the_same_release_under_another_rollout_keeps_what_came(unit: Unit):
    offer = offer_of(release_of(), "r1")
    unit.say(offer, *chunks_of(offer, RAW)[:3])
    (answer,) = unit.say(offer_of(offer.release, "r2"))
    assert (answer.rollout, answer.next_chunk) == ("r2", 3)


def test_a_gateway_may_cut_the_rest_otherwise(unit: Unit):
    offer = offer_of(release_of(), chunk_bytes=1_000)
    unit.say(offer, *chunks_of(offer, RAW)[:5])
    other = offer_of(offer.release, chunk_bytes=2_048)
    (answer,) = unit.say(other)
    assert answer.next_chunk == 2, "4,096 bytes of the 5,000 are whole chunks"
    unit.say(*chunks_of(other, RAW)[2:])
    assert unit.test().state is ModelState.INSTALLED


def test_both_slots_can_be_under_way_at_once(unit: Unit):
    offers = [offer_of(release_of(slot), f"r-{slot}") for slot in ("activity", "anomaly")]
    unit.say(*offers)
    for pair in zip(*(chunks_of(o, raw_of(o.release.slot)) for o in offers), strict=False):
        unit.say(*pair)
    for offer in offers:
        unit.say(*chunks_of(offer, raw_of(offer.release.slot)))
    assert {unit.test().state, unit.test().state} == {ModelState.INSTALLED}
    assert (unit.version("activity"), unit.version("anomaly")) == ("9.0.0", "9.0.0")


# offers that are refused


def _refused_at_once(unit: Unit, release: Release) -> ModelRefusal:
    before = unit.downlink.standing
    (answer,) = unit.say(offer_of(release))
    assert answer.state is ModelState.REFUSED
    assert answer.detail
    assert answer.reason is not None
    assert unit.downlink.standing.spares == before.spares, "nothing was begun"
    assert unit.say(offer_of(release)) == [answer], "the same answer to the same offer"
    return answer.reason


def test_a_release_of_an_unknown_key_is_refused(flash: Flash, unit: Unit):
    release = Release.signed(
        OTHER_KEY, slot="activity", manifest=manifest_of(), size=len(RAW), golden=b""
    )
    assert _refused_at_once(unit, release) is ModelRefusal.UNKNOWN_KEY
    keyless = Unit(flash, key=None)
    assert _refused_at_once(keyless, release_of()) is ModelRefusal.UNKNOWN_KEY


def test_a_wrong_signature_is_refused(unit: Unit):
    release = msgspec.structs.replace(release_of(), golden=b"other")
    assert _refused_at_once(unit, release) is ModelRefusal.WRONG_SIGNATURE


def test_an_unknown_slot_is_refused(unit: Unit):
    release = Release.signed(KEY, slot="emotion", manifest=manifest_of(), size=len(RAW), golden=b"")
    assert _refused_at_once(unit, release) is ModelRefusal.UNKNOWN_SLOT


def test_an_older_version_and_the_same_with_other_content_are_refused(unit: Unit):
    assert unit.deliver(release_of(version="9.0.1"), RAW).state is ModelState.INSTALLED
    assert _refused_at_once(unit, release_of(version="9.0.0")) is ModelRefusal.OLDER
    other = release_of(version="9.0.1", abstain_below=0.123)
    assert _refused_at_once(unit, other) is ModelRefusal.OLDER
    assert _refused_at_once(unit, release_of(version="0.0.1")) is ModelRefusal.OLDER
    assert unit.version() == "9.0.1"


def test_a_manifest_that_lies_is_refused(unit: Unit):
    manifest = manifest_of("anomaly")
    for_another_slot = Release.signed(
        KEY, slot="activity", manifest=manifest, size=len(RAW), golden=b""
    )
    assert _refused_at_once(unit, for_another_slot) is ModelRefusal.INVALID_MANIFEST
    unreadable = _signed_manifest(b"{]")
    assert _refused_at_once(unit, unreadable) is ModelRefusal.INVALID_MANIFEST
    greedy = json.loads(msgspec.json.encode(manifest_of()))
    greedy["model"]["budget"]["flash_bytes"] = 10 * COLLAR_BUDGET.flash_bytes
    beyond = _signed_manifest(json.dumps(greedy).encode())
    assert _refused_at_once(unit, beyond) is ModelRefusal.INVALID_MANIFEST


def test_a_manifest_of_a_gateways_plugin_is_refused(unit: Unit):
    manifest = msgspec.structs.replace(
        manifest_of(),
        runs_on=Place.GATEWAY,
        entry="plugin:run",
        inputs={Input.EPOCH: ["steps"]},
    )
    release = _signed_manifest(msgspec.json.encode(manifest))
    assert _refused_at_once(unit, release) is ModelRefusal.INVALID_MANIFEST


def test_more_labels_than_outputs_are_found_when_the_model_is_there(unit: Unit):
    model = manifest_of().model
    assert model is not None
    release = bad_release(RAW, labels=model.labels[:-1])
    answer = unit.deliver(release, RAW)
    assert answer.reason is ModelRefusal.WRONG_SHAPE


def test_a_model_beyond_the_slot_is_refused_before_it_is_sent(unit: Unit):
    raw = RAW + bytes(COLLAR_BUDGET.flash_bytes)
    assert _refused_at_once(unit, bad_release(raw)) is ModelRefusal.TOO_LARGE


def test_other_windows_than_this_collars_are_refused_before_they_are_sent(unit: Unit):
    release = bad_release(RAW, samples=120)
    assert _refused_at_once(unit, release) is ModelRefusal.WRONG_SHAPE
    release = bad_release(RAW, rate_hz=20.0)
    assert _refused_at_once(unit, release) is ModelRefusal.WRONG_SHAPE


def _signed_manifest(manifest: bytes) -> Release:
    """Signed whatever it says, as a careless or stolen key would."""
    from gateway.wire import release as wire

    draft = msgspec.structs.replace(release_of(), manifest=manifest)
    return msgspec.structs.replace(draft, signature=KEY.sign(wire._statement(draft)))


# chunks that are refused


def test_truncated_bytes_are_refused_and_leave_nothing(folder: Path, unit: Unit):
    release = release_of()
    answer = unit.deliver(release, RAW[:-100])
    assert answer.reason is ModelRefusal.TRUNCATED
    assert "announced" in answer.detail
    assert rows(folder) == {}
    assert unit.say(offer_of(release))[0] == answer, "remembered"


def test_corrupt_bytes_are_refused_and_another_rollout_may_try_again(folder: Path, unit: Unit):
    release = release_of()
    answer = unit.deliver(release, RAW[:-1] + bytes([RAW[-1] ^ 1]))
    assert answer.reason is ModelRefusal.CORRUPT
    assert rows(folder) == {}
    assert unit.deliver(release, RAW, "r1") == answer
    assert unit.deliver(release, RAW, "r2").state is ModelState.INSTALLED


def test_a_refusal_is_remembered_through_a_boot(folder: Path):
    release = bad_release(RAW)  # no golden answers
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        answer = Unit(flash).deliver(release, RAW)
        assert answer.reason is ModelRefusal.SELF_TEST_FAILED
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash)
        assert unit.say(offer_of(release)) == [answer]
        assert unit.version() != "9.0.0"


def test_chunks_out_of_order_twice_too_long_or_after_the_end_change_nothing(
    folder: Path, unit: Unit
):
    offer = offer_of(release_of())
    chunks = chunks_of(offer, RAW)
    unit.say(offer)
    for chunk, stands_at in (
        (chunks[1], 0),
        (chunks[0], 1),
        (chunks[0], 1),
        (chunks[3], 1),
        (msgspec.structs.replace(chunks[1], data=chunks[1].data + b"x"), 1),
        (msgspec.structs.replace(chunks[1], index=4095), 1),
    ):
        (answer,) = unit.say(chunk)
        assert (answer.state, answer.next_chunk) == (ModelState.RECEIVING, stands_at)
    assert rows(folder)["activity", "receiving"][1] == chunks[0].data
    unit.say(*chunks[1:])
    for late in (chunks[-1], msgspec.structs.replace(chunks[-1], index=len(chunks))):
        (answer,) = unit.say(late)
        assert answer.next_chunk == len(chunks)
    assert unit.test().state is ModelState.INSTALLED


def test_a_chunk_without_an_offer_is_nobodys(folder: Path, unit: Unit):
    assert unit.say(chunks_of(offer_of(release_of(), "stranger"), RAW)[0]) == []
    assert rows(folder) == {}


def test_a_storm_of_offers_fills_neither_memory_nor_flash(folder: Path, flash: Flash, unit: Unit):
    good = release_of()
    numbers = count()

    def storm() -> tuple[int, int]:
        for n in range(1_000):
            release = good if n % 2 else msgspec.structs.replace(good, golden=b"%d" % n)
            offer = offer_of(release, f"r{next(numbers)}")
            assert len(unit.say(offer, *chunks_of(offer, RAW)[:1])) <= 3
        standing = unit.downlink.standing
        held = len(standing.spares) + len(standing.refusals) + len(unit.downlink.refused)
        flash._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return held, (folder / "flash.sqlite").stat().st_size

    first = storm()
    assert storm() == first
    assert first[0] <= 1 + 2 * REFUSALS_KEPT


def test_only_the_last_refusals_are_remembered(folder: Path, unit: Unit):
    for n in range(2 * REFUSALS_KEPT):
        unit.deliver(release_of(version=f"9.0.{n}"), RAW[:100], f"r{n}")
    assert len(unit.downlink.standing.refusals) == REFUSALS_KEPT
    with closing(sqlite3.connect(folder / "flash.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM model_refusal").fetchone() == (REFUSALS_KEPT,)


# models that are refused


def test_a_self_test_that_fails_is_the_end_of_it(unit: Unit):
    golden = golden_of(manifest_of(), RAW)
    turned = np.frombuffer(golden, "<f2")[::-1].tobytes()
    for n, wrong in enumerate((b"", golden[:-2], turned, np.full_like(golden, np.nan))):
        release = bad_release(RAW, golden=bytes(wrong))
        assert unit.deliver(release, RAW, f"r{n}").reason is ModelRefusal.SELF_TEST_FAILED
    assert unit.version() != "9.0.0"


def test_a_model_of_another_input_shape_is_refused(unit: Unit):
    raw = raw_of("anomaly")
    answer = unit.deliver(bad_release(raw), raw)
    assert answer.reason is ModelRefusal.WRONG_SHAPE
    assert "the host feeds" in answer.detail


def test_a_model_that_needs_more_memory_than_a_slot_is_refused(unit: Unit):
    model = manifest_of().model
    assert model is not None
    tight = msgspec.structs.replace(model.budget, arena_bytes=100)
    answer = unit.deliver(bad_release(RAW, budget=tight), RAW)
    assert answer.reason is ModelRefusal.TOO_LARGE
    assert "arena" in answer.detail


@pytest.mark.parametrize(
    ("change", "_reason"), test_admission.CHANGES.values(), ids=test_admission.CHANGES
)
def test_a_wellformed_but_wrong_model_is_refused(unit: Unit, change, _reason):
    raw = test_admission.rewritten(change)
    answer = unit.deliver(bad_release(raw), raw)
    assert answer.reason in (
        ModelRefusal.NOT_ADMITTED,
        ModelRefusal.WRONG_SHAPE,
        ModelRefusal.TOO_LARGE,
    )
    assert answer.detail
    assert unit.version() != "9.0.0"


def survive(folder: Path, count: int) -> None:
    """Deliver so many hostile models, rightly signed; each is refused with a reason."""
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash, Engine.MICRO if micro_available() else Engine.LITERT)
        for n, raw in enumerate(test_admission.mutations(count)):
            answer = unit.deliver(bad_release(raw, golden=bytes(8 * 2)), raw, f"r{n}")
            assert answer.state is ModelState.REFUSED, answer
            assert answer.reason, answer
            assert answer.detail, answer


def test_hostile_models_end_in_a_reason_and_never_in_a_crash(tmp_path: Path):
    """In a child process, so that a crash is seen as one."""
    code = (
        "import sys; from pathlib import Path; from tests.unit.test_update import survive; "
        "survive(Path(sys.argv[1]), 150)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


# what a boot finds


def _spoil(folder: Path, state: str, column: str, value: bytes) -> None:
    with closing(sqlite3.connect(folder / "flash.sqlite")) as db:
        db.execute(f"UPDATE model_slot SET {column} = ? WHERE state = ?", (value, state))
        db.commit()


@pytest.mark.parametrize(
    ("column", "value"), [("model", RAW[:-1]), ("model", b""), ("release", b"\xc1")]
)
def test_a_model_that_no_longer_loads_falls_back_to_the_one_before_then_to_the_shipped(
    folder: Path, column: str, value: bytes
):
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash)
        shipped = unit.version()
        for n in range(2):
            unit.deliver(release_of(version=f"9.0.{n}"), RAW, f"r{n}")
        assert unit.version() == "9.0.1"
    _spoil(folder, "active", column, value)
    assert reboot(folder).version() == "9.0.0"
    assert reboot(folder).version() == "9.0.0", "and stays there"
    _spoil(folder, "active", column, value)
    again = reboot(folder)
    assert again.version() == shipped
    assert rows(folder) == {}


def test_a_model_older_than_what_ships_gives_way_to_it(folder: Path):
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash)
        shipped = unit.version()
        unit.deliver(release_of(version="9.0.0"), RAW)
    older = msgspec.msgpack.encode(release_of(version="0.0.1"))
    _spoil(folder, "active", "release", older)
    assert reboot(folder).version() == shipped
    assert rows(folder) == {}


def test_a_collar_that_lost_its_release_key_keeps_its_model_and_takes_no_other(folder: Path):
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        Unit(flash).deliver(release_of(version="9.0.0"), RAW)
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash, key=None)
        assert unit.version() == "9.0.0"
        assert _refused_at_once(unit, release_of(version="9.0.1")) is ModelRefusal.UNKNOWN_KEY


def test_collars_that_hold_the_same_models_are_one_batch_also_after_an_update(unit: Unit):
    before = SHELF.slots_of(unit.models, {})
    assert SHELF.slots_of(dict(unit.shipped), {}) is before
    first, second = release_of(version="9.1.0"), release_of(version="9.1.0")
    loaded = [SHELF.judged(each, RAW, Engine.LITERT) for each in (first, second)]
    after = [SHELF.slots_of({**unit.models, "activity": model}, {}) for model in loaded]
    assert after[0] is after[1]
    assert after[0] is not before
    assert [slot.version for slot in after[0].described() if slot.slot == "activity"] == ["9.1.0"]
    assert after[0].ref("anomaly") == before.ref("anomaly")


# how the collar shall be set


def test_what_was_desired_last_is_kept_by_site_and_an_older_word_is_late(folder: Path):
    def desired(version: int, windows: int) -> Desired:
        return Desired(collar_id="c1", version=version, windows_per_hour=windows)

    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash)
        assert unit.collar.windows_per_hour == 0
        unit.say(desired(7, 120), desired(6, 0))
        assert unit.collar.windows_per_hour == 120
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash)
        assert unit.collar.windows_per_hour == 120
        unit.say(desired(6, 0))
        assert unit.collar.windows_per_hour == 120, "late, also after a boot"
        unit.say(desired(8, 0))
        assert unit.collar.windows_per_hour == 0
        unit.say(desired(9, 60))
        elsewhere = Downlink("farm", unit.collar, flash.models, unit.downlink.standing)
        assert unit.collar.windows_per_hour == 0, "another site's gateway has not asked yet"
        elsewhere.take([desired(1, 30)])
        assert unit.collar.windows_per_hour == 30


def test_a_forged_word_of_a_huge_version_lasts_no_longer_than_its_connection(folder: Path):
    def desired(version: int, windows: int) -> Desired:
        return Desired(collar_id="c1", version=version, windows_per_hour=windows)

    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash)
        unit.say(desired(2**53 - 1, 3600), desired(5, 0))
        assert unit.collar.windows_per_hour == 3600
        unit.downlink.opened()
        assert unit.collar.windows_per_hour == 3600, "until somebody says otherwise"
        unit.say(desired(5, 0))
        assert unit.collar.windows_per_hour == 0
    with Flash.open(folder) as flash:
        flash.boot(["c1"])
        unit = Unit(flash)
        unit.say(desired(6, 10))
        assert unit.collar.windows_per_hour == 10
