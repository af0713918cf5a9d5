"""How different two colours look, also to people with deuteranopia; written from the papers."""

import numpy as np

DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
"""What linear RGB looks like without the middle cones. Source: Machado et al. 2009, table 1, severity 1."""

TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(colour: str, simulation: np.ndarray | None = None) -> np.ndarray:
    """CIELAB of a colour `#rrggbb`, `[3]`, as it is or as it is seen by the simulation."""
    srgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    if simulation is not None:
        linear = np.clip(simulation @ linear, 0, 1)
    ratio = TO_XYZ @ linear / WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(first: np.ndarray, second: np.ndarray) -> float:
    """The CIEDE2000 difference of two colours in CIELAB. Source: Sharma et al. 2005, equations 2 to 22."""
    mean_chroma = (np.hypot(*first[1:]) + np.hypot(*second[1:])) / 2
    stretch = 1 + 0.5 * (1 - np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25**7)))
    (a1, b1), (a2, b2) = ((stretch * colour[1], colour[2]) for colour in (first, second))
    chroma1, chroma2 = np.hypot(a1, b1), np.hypot(a2, b2)
    hue1, hue2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    is_grey = chroma1 * chroma2 == 0
    turn = 0.0 if is_grey else (hue2 - hue1 + 180) % 360 - 180
    hue = hue1 + hue2 if is_grey else (hue1 + turn / 2) % 360
    light, chroma = (first[0] + second[0]) / 2, (chroma1 + chroma2) / 2
    weight = 1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
    weight += 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.2 * np.cos(np.radians(4 * hue - 63))
    light_part = (second[0] - first[0]) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    chroma_part = (chroma2 - chroma1) / (1 + 0.045 * chroma)
    hue_part = 2 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * weight)
    rotation = (
        -2 * np.sqrt(chroma**7 / (chroma**7 + 25**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    )
    return float(np.sqrt(light_part**2 + chroma_part**2 + hue_part**2 + rotation * chroma_part * hue_part))
