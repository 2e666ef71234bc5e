"""What the collar's IMU feels: 25 Hz, six axes, from the minute's segments.

The neck has a posture, which changes within seconds, and moves about it freely (`posture`), by its
footfalls or another rhythm (`cadence`), by breath and heartbeat (`still`). All are accelerations
and angles of the neck. Rotation is the change of the angles, and gravity turns with them, so that
the six axes agree; the collar slides round the neck, the unit sits a little askew in its holder,
and `sensor` says what a real part makes of it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from collar_sim.animal.ethogram.bout import Segment
from collar_sim.animal.individual.profile import Profile
from collar_sim.animal.life.body import BodyMinute
from collar_sim.animal.place.lost import Lost
from collar_sim.animal.place.movement import Track
from collar_sim.animal.signals.cadence import add_rhythms
from collar_sim.animal.signals.curves import RATE_HZ
from collar_sim.animal.signals.posture import (
    PITCH,
    RINGING,
    ROLL,
    YAW_RATE,
    Pose,
    free_movements,
    posture_minute,
)
from collar_sim.animal.signals.still import add_shaking, add_vitals
from collar_sim.arrays import Samples


def imu_minute(
    profile: Profile,
    pose: Pose,
    segments: list[Segment],
    track: Track,
    body: BodyMinute,
    rng: np.random.Generator,
    *,
    worn: NDArray[np.bool_],
    lost: Lost | None,
) -> tuple[Samples, Pose]:
    """One minute of samples, and what to carry on.

    The samples have shape (1500, 6): g and deg/s, on the wire's int16 grid.

    Args:
        profile: Whose neck it is.
        pose: From the minute before.
        segments: The minute's behaviour.
        track: Of the minute: how it turned, and what it felt of a ride.
        body: Of the minute: what its breath and heart do.
        rng: Of this minute and stream.
        worn: Shape (60,): False where the collar lies on the ground.
        lost: How it lies there.
    """
    posture, held = posture_minute(profile, pose, segments, track, rng)
    curves = posture.curves
    cycles = pose.phase + np.cumsum(np.repeat(posture.rhythm_hz / RATE_HZ, RATE_HZ))
    motion, surge = free_movements(posture, rng)
    rattle_g = add_rhythms(motion, profile, segments, cycles, surge, curves[:, RINGING:], rng)
    breath, beat = add_vitals(motion, profile, body, (pose.breath, pose.beat), RATE_HZ)
    motion[:, 3] += curves[:, ROLL]
    motion[:, 4] += curves[:, PITCH]
    yaw = np.cumsum(curves[:, YAW_RATE]) / RATE_HZ
    motion[:, 5] += yaw

    samples = _felt(motion, pose.angles)
    add_shaking(samples, profile, segments, posture.stir, rattle_g, rng, RATE_HZ)
    if lost is not None:
        samples[np.repeat(~worn, RATE_HZ)] = (*lost.down, 0.0, 0.0, 0.0)
    mount = profile.mount.T.astype(np.float32)
    # not in place: into columns BLAS would multiply the other way round, and round differently
    samples[:, :3] = samples[:, :3] @ mount
    samples[:, 3:] = samples[:, 3:] @ mount
    last = replace(
        held,
        phase=float(cycles[-1] % 1.0),
        # the next minute's yaw begins at 0 again
        angles=(*motion[-1, 3:5].tolist(), float(motion[-1, 5] - yaw[-1])),
        breath=breath,
        beat=beat,
    )
    return profile.sensor.read(samples, RATE_HZ, rng), last


def _felt(motion: Samples, before_deg: tuple[float, ...]) -> Samples:
    """Neck to collar: gravity by its pitch, then everything by the angle round the neck.

    Args:
        motion: Shape (n, 6): accelerations in g, then roll, pitch and yaw in degrees.
        before_deg: The three angles one sample before.
    """
    before = np.array(before_deg, np.float32)
    rates = np.diff(motion[:, 3:], axis=0, prepend=before[None]) * np.float32(RATE_HZ)
    roll, pitch = np.deg2rad(motion[:, 3]), np.deg2rad(motion[:, 4])
    sin_roll, cos_roll = np.sin(roll), np.cos(roll)
    y, z = motion[:, 1], motion[:, 2] + np.cos(pitch)
    samples = np.empty_like(motion)
    samples[:, 0] = motion[:, 0] - np.sin(pitch)
    samples[:, 1] = cos_roll * y + sin_roll * z
    samples[:, 2] = cos_roll * z - sin_roll * y
    samples[:, 3] = rates[:, 0]
    samples[:, 4] = cos_roll * rates[:, 1] + sin_roll * rates[:, 2]
    samples[:, 5] = cos_roll * rates[:, 2] - sin_roll * rates[:, 1]
    return samples
