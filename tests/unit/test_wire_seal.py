"""Seals: what is shown verifies, what was changed does not, what is withheld is not in there."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.codec import JSON, MSGPACK, decode_raw, encode
from gateway.wire.errors import WrongSeal
from gateway.wire.messages import Message, Seal
from gateway.wire.seal import (
    CELLS_PER_DEG,
    HEADER,
    HEADER_FIELDS,
    SALT_BYTES,
    Disclosure,
    batch_secret,
    disclose,
    disclosed_hash,
    leaves_of,
    message_hash,
    message_seed,
    root_of,
    sign_root,
    verify_root,
    verify_signature,
)
from gateway.wire.topics import Kind
from tests.strategies import epochs, events, fixes, windows

few = settings(max_examples=60)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
SECRET = bytes(range(32, 64))
BOOT, FIRST = 7, 100


@dataclass(frozen=True)
class Batch:
    """What a collar sealed."""

    kinds: list[Kind]
    leaves: list[dict[str, Any]]
    seeds: list[bytes]
    seal: Seal

    @property
    def hashes(self) -> list[bytes]:
        return [message_hash(*each) for each in zip(self.leaves, self.seeds, strict=True)]

    def show(self, index: int, granted: set[str]) -> Disclosure:
        """As it arrives in the cloud: through the encoding, sharing nothing with us."""
        shown = disclose(
            self.kinds[index], FIRST + index, self.leaves[index], self.seeds[index], granted
        )
        return msgspec.msgpack.decode(msgspec.msgpack.encode(shown), type=Disclosure)

    def verify(self, hashes: list[bytes]) -> None:
        verify_signature(PUBLIC, self.seal)
        verify_root(self.seal, hashes)


BY_KIND = {Kind.EPOCH: epochs, Kind.FIX: fixes, Kind.EVENT: events, Kind.WINDOW: windows}


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    kinds = draw(st.lists(st.sampled_from(sorted(BY_KIND)), min_size=1, max_size=4))
    secret, last = batch_secret(SECRET, BOOT, FIRST), FIRST + len(kinds) - 1
    leaves: list[dict[str, Any]] = []
    for seq, kind in enumerate(kinds, FIRST):
        same = {"collar_id": st.just("c1"), "boot": st.just(BOOT), "seq": st.just(seq)}
        message: Message = draw(BY_KIND[kind](**same))
        leaves.append(
            leaves_of(kind, decode_raw(encode(message, draw(st.sampled_from((JSON, MSGPACK))))))
        )
    seeds = [message_seed(secret, FIRST + index) for index in range(len(kinds))]
    root = root_of(map(message_hash, leaves, seeds))
    seal = Seal(
        collar_id="c1",
        boot=BOOT,
        seq=last + 1,
        observed_at=datetime(2026, 1, 1, tzinfo=UTC),
        first_seq=FIRST,
        last_seq=last,
        root=root,
        signature=sign_root(KEY, "c1", BOOT, FIRST, last, root),
    )
    return Batch(kinds, leaves, seeds, seal)


@st.composite
def shown_batches(draw: st.DrawFn) -> tuple[Batch, list[Disclosure]]:
    """A batch of whose messages anything from nothing to everything is granted."""
    batch = draw(batches())
    return batch, [
        batch.show(index, draw(st.sets(st.sampled_from(sorted(leaves)))))
        for index, leaves in enumerate(batch.leaves)
    ]


class TestDisclosure:
    @few
    @given(shown_batches())
    def test_whatever_is_shown_is_proven(self, shown: tuple[Batch, list[Disclosure]]) -> None:
        batch, disclosures = shown
        batch.verify([disclosed_hash(each) for each in disclosures])

    @few
    @given(shown_batches(), st.data())
    def test_a_message_may_be_withheld_whole(
        self, shown: tuple[Batch, list[Disclosure]], data: st.DataObject
    ) -> None:
        batch, disclosures = shown
        hashes = [disclosed_hash(each) for each in disclosures]
        index = data.draw(st.integers(0, len(hashes) - 1))
        hashes[index] = batch.hashes[index]  # the gateway sends 32 bytes and no more
        batch.verify(hashes)

    @few
    @given(shown_batches())
    def test_what_is_withheld_is_not_in_there(self, shown: tuple[Batch, list[Disclosure]]) -> None:
        batch, disclosures = shown
        for leaves, seed, each in zip(batch.leaves, batch.seeds, disclosures, strict=True):
            assert each.leaves.keys() | each.hidden.keys() == leaves.keys()
            assert HEADER in each.leaves
            assert all(len(hidden) == 32 for hidden in each.hidden.values())
            if not each.hidden:
                assert each.seed == seed
                continue
            assert each.seed is None  # it would open every salt
            assert seed not in msgspec.msgpack.encode(each)
            assert len(each.salts or b"") == SALT_BYTES * len(each.leaves)

    def test_withheld_values_and_their_salts_are_not_among_the_bytes(self) -> None:
        leaves = {HEADER: ["event", "c1", 7, 100, None, None, None]}
        leaves |= {"name": "s3cret-name", "package": "s3cret-package", "open": "public"}
        shown = disclose(Kind.EVENT, 100, dict(sorted(leaves.items())), b"seed" * 8, {"open"})
        raw = msgspec.msgpack.encode(shown)
        assert b"public" in raw
        assert b"s3cret" not in raw
        everything = disclose(
            Kind.EVENT, 100, dict(sorted(leaves.items())), b"seed" * 8, set(leaves)
        )
        assert b"s3cret-name" in msgspec.msgpack.encode(everything)

    def test_equal_values_have_unequal_hashes(self) -> None:
        leaves = {HEADER: ["event", "c1", 7, 100, None, None, None], "a": 1, "b": 1}
        one = disclose(Kind.EVENT, 100, leaves, b"1" * 32, set())
        two = disclose(Kind.EVENT, 100, leaves, b"2" * 32, set())
        hashes = {*one.hidden.values(), *two.hidden.values()}
        assert len(hashes) == 4


class TestForgery:
    @few
    @given(shown_batches(), st.data())
    def test_any_changed_leaf_is_noticed(
        self, shown: tuple[Batch, list[Disclosure]], data: st.DataObject
    ) -> None:
        batch, disclosures = shown
        index = data.draw(st.integers(0, len(disclosures) - 1))
        forged = data.draw(forgeries(disclosures[index]))
        hashes = [*disclosures[:index], forged, *disclosures[index + 1 :]]
        with pytest.raises(WrongSeal):
            batch.verify([disclosed_hash(each) for each in hashes])

    @few
    @given(batches(), st.data())
    def test_order_and_count_are_sealed(self, batch: Batch, data: st.DataObject) -> None:
        hashes = batch.hashes
        index = data.draw(st.integers(0, len(hashes) - 1))
        changed = [
            hashes[:index] + hashes[index + 1 :],
            [*hashes, hashes[index]],
            [],
            [b"".join(hashes[:2]), *hashes[2:]],  # two hashes in the place of one
        ]
        if len(hashes) > 1:
            changed.append([hashes[-1], *hashes[:-1]])
        for other in changed:
            if other != hashes:
                with pytest.raises(WrongSeal):
                    batch.verify(other)

    @few
    @given(batches())
    def test_a_seal_is_of_one_collar_boot_range_and_root(self, batch: Batch) -> None:
        others = [
            {"collar_id": "c2"},
            {"boot": BOOT + 1},
            {"first_seq": FIRST - 1},
            {"last_seq": batch.seal.last_seq + 1, "seq": batch.seal.seq + 1},
            {"root": bytes(32)},
            {"signature": bytes(64)},
        ]
        for other in others:
            with pytest.raises(WrongSeal, match="signature"):
                verify_signature(PUBLIC, msgspec.structs.replace(batch.seal, **other))

    @pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), bytes(range(32))])
    def test_another_key_has_not_signed_it(self, key: bytes) -> None:
        root = bytes(32)
        seal = _seal(root, sign_root(KEY, "c1", BOOT, FIRST, FIRST, root))
        verify_signature(PUBLIC, seal)
        with pytest.raises(WrongSeal):
            verify_signature(key, seal)

    def test_a_range_of_more_messages_than_were_sealed_is_noticed(self) -> None:
        """A collar that claims ten messages and seals two has sealed nothing."""
        hashes = [bytes(32), bytes(32)]
        seal = msgspec.structs.replace(
            _seal(root_of(hashes), bytes(64)), last_seq=FIRST + 9, seq=200
        )
        with pytest.raises(WrongSeal):
            verify_root(seal, hashes)


class TestWhatDoesNotFitTogether:
    LEAVES: dict[str, Any] = {  # noqa: RUF012 - never changed
        HEADER: ["event", "c1", BOOT, FIRST, None, None, None],
        "confidence": 0.5,
        "name": "scratch",
    }

    def shown(self, granted: set[str]) -> Disclosure:
        return disclose(Kind.EVENT, FIRST, self.LEAVES, bytes(32), granted)

    def refuse(self, shown: Disclosure, word: str) -> None:
        with pytest.raises(WrongSeal, match=word):
            disclosed_hash(shown)

    def test_a_header_that_is_withheld_or_of_another_message(self) -> None:
        shown = self.shown({"name"})
        replace = msgspec.structs.replace
        rest = {name: value for name, value in shown.leaves.items() if name != HEADER}
        self.refuse(replace(shown, leaves=rest), "header")
        self.refuse(replace(shown, kind=Kind.FIX), "header")
        self.refuse(replace(shown, seq=FIRST + 1), "header")
        for header in (None, "event", [], {"kind": "event"}):
            self.refuse(replace(shown, leaves=shown.leaves | {HEADER: header}), "header")

    def test_a_leaf_both_shown_and_hidden(self) -> None:
        shown = self.shown({"name"})
        both = shown.hidden | {"name": bytes(32)}
        self.refuse(msgspec.structs.replace(shown, hidden=both), "both shown and hidden")

    def test_a_seed_with_hidden_leaves(self) -> None:
        self.refuse(msgspec.structs.replace(self.shown({"name"}), seed=bytes(32)), "seed")

    @pytest.mark.parametrize("salts", [None, b"", bytes(15), bytes(SALT_BYTES * 3)])
    def test_salts_that_are_not_one_a_leaf(self, salts: bytes | None) -> None:
        self.refuse(msgspec.structs.replace(self.shown({"name"}), salts=salts), "salt")

    @pytest.mark.parametrize("hidden", [b"", bytes(31), bytes(64)])
    def test_a_hidden_leaf_that_is_no_hash(self, hidden: bytes) -> None:
        shown = self.shown({"name"})
        self.refuse(msgspec.structs.replace(shown, hidden={"confidence": hidden}), "hash")

    def test_two_hidden_leaves_in_the_place_of_one(self) -> None:
        shown = self.shown(set())
        joined = b"".join(shown.hidden[name] for name in sorted(shown.hidden))
        self.refuse(msgspec.structs.replace(shown, hidden={"confidence": joined}), "hash")

    @pytest.mark.parametrize("alien", [{1: 2}, 2**70, object(), [{None: 1}]])
    def test_a_value_without_a_canonical_form(self, alien: object) -> None:
        shown = self.shown({"name"})
        leaves = shown.leaves | {"name": alien}
        self.refuse(msgspec.structs.replace(shown, leaves=leaves), "canonical")


class TestLeaves:
    @few
    @given(fixes())
    def test_coarse_cells_hold_the_position(self, fix: Message) -> None:
        fields = decode_raw(encode(fix))
        leaves = leaves_of(Kind.FIX, fields)
        for name, cells in CELLS_PER_DEG.items():
            for cell, of in zip(leaves[name], ("lat_deg", "lon_deg"), strict=True):
                assert isinstance(cell, int)
                assert cell <= fields[of] * cells < cell + 1

    def test_cells_of_the_south_and_west_are_below_zero(self) -> None:
        leaves = leaves_of(Kind.FIX, {"lat_deg": -33.8688, "lon_deg": -70.6693})
        assert leaves["position_100m"] == [-33869, -70670]
        assert leaves["position_1km"] == [-3387, -7067]
        assert leaves["position_10km"] == [-339, -707]

    @few
    @given(
        st.sampled_from(sorted(BY_KIND)).flatmap(
            lambda kind: BY_KIND[kind]().map(lambda m: (kind, m))
        )
    )
    def test_every_field_is_in_exactly_one_leaf_and_they_are_sorted(
        self, kind_and_message: tuple[Kind, Message]
    ) -> None:
        kind, message = kind_and_message
        fields = decode_raw(encode(message))
        leaves = leaves_of(kind, fields)
        coarse = set(CELLS_PER_DEG) if kind is Kind.FIX else set[str]()
        assert leaves.keys() - coarse == (fields.keys() - set(HEADER_FIELDS)) | {HEADER}
        assert list(leaves) == sorted(leaves)
        assert leaves[HEADER] == [kind.value, *(fields.get(name) for name in HEADER_FIELDS)]

    def test_what_a_map_holds_is_hashed_in_the_order_of_its_names(self) -> None:
        header = {HEADER: ["epoch", "c1", 0, 0, None, None, None]}
        one = header | {"seconds": {"walk": 1.0, "eat": 2.0}}
        two = header | {"seconds": {"eat": 2.0, "walk": 1.0}}
        assert message_hash(one, bytes(32)) == message_hash(two, bytes(32))


def _seal(root: bytes, signature: bytes) -> Seal:
    return Seal(
        collar_id="c1",
        boot=BOOT,
        seq=FIRST + 1,
        observed_at=datetime(2026, 1, 1, tzinfo=UTC),
        first_seq=FIRST,
        last_seq=FIRST,
        root=root,
        signature=signature,
    )


@st.composite
def forgeries(draw: st.DrawFn, shown: Disclosure) -> Disclosure:
    """The disclosure with one thing changed."""
    replace = msgspec.structs.replace
    name = draw(st.sampled_from(sorted(shown.leaves)))
    value = shown.leaves[name]
    choices: list[dict[str, Any]] = [
        {"leaves": shown.leaves | {name: [value]}},
        {"leaves": {other: held for other, held in shown.leaves.items() if other != name}},
        {"leaves": shown.leaves | {"zz_added": 1}},
    ]
    if isinstance(value, float) and value == value // 1:
        choices.append({"leaves": shown.leaves | {name: int(value)}})  # 1 is not 1.0
    if shown.seed is not None:
        choices.append({"seed": _flip(draw, shown.seed)})
    if shown.salts:
        choices.append({"salts": _flip(draw, shown.salts)})
    for hidden, digest in shown.hidden.items():
        choices.append({"hidden": shown.hidden | {hidden: _flip(draw, digest)}})
        choices.append({"hidden": {n: d for n, d in shown.hidden.items() if n != hidden}})
        if hidden != max([*shown.leaves, *shown.hidden]):  # under a later name, out of its place
            others = {n: d for n, d in shown.hidden.items() if n != hidden}
            choices.append({"hidden": others | {"zzz": digest}})
    return replace(shown, **draw(st.sampled_from(choices)))


def _flip(draw: st.DrawFn, some: bytes) -> bytes:
    at, bit = draw(st.integers(0, len(some) - 1)), draw(st.integers(0, 7))
    return some[:at] + bytes([some[at] ^ 1 << bit]) + some[at + 1 :]
