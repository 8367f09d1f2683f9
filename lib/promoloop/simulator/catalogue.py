"""The shop's items and brands: small, drawn on the driver, sent to every task."""

from dataclasses import dataclass

import numpy as np

from promoloop.simulator.draws import Floats, Ints, normals, uniforms
from promoloop.simulator.law import CATEGORIES, Law

# level of price (money), units bought beyond the first (mean), repeat cycle (seasons), age centre and width (years), gender and income tilt
_TRAITS = {
    "coffee": (9.0, 0.8, 1, 38, 25, 0.0, 0.20),
    "snacks": (6.0, 1.4, 1, 24, 18, 0.0, -0.20),
    "care": (12.0, 0.5, 2, 34, 22, 0.55, 0.10),
    "cleaning": (8.0, 0.9, 2, 48, 25, 0.15, -0.10),
    "wine": (16.0, 1.0, 1, 54, 20, -0.10, 0.45),
    "baby": (18.0, 0.6, 1, 33, 7, 0.35, 0.00),
    "pets": (14.0, 0.9, 1, 45, 30, 0.10, -0.05),
    "garden": (26.0, 0.3, 3, 60, 15, 0.00, 0.15),
    "kitchen": (38.0, 0.1, 4, 42, 18, 0.20, 0.25),
    "sports": (48.0, 0.1, 4, 28, 14, -0.30, 0.20),
    "audio": (85.0, 0.0, 4, 26, 15, -0.40, 0.30),
    "fashion": (42.0, 0.2, 2, 30, 18, 0.50, 0.25),
}


@dataclass(frozen=True)
class Catalogue:
    """Arrays over items (index = item number), over brands and over categories."""

    category: Ints
    brand: Ints
    price: Floats  # money per unit
    unit_cost: Floats  # money per unit
    stock: Ints
    log_popularity: Floats
    log_relative_price: Floats  # log of price over its category's mean log price
    quality: Floats  # standard normal; what reviews tell of
    brand_tier: Floats  # standard scale of income it suits
    brand_style: Ints
    units_beyond_first: Floats  # per category
    repeat_cycle: Ints  # per category, seasons
    age_centre: Floats
    age_width: Floats
    gender_tilt: Floats
    income_tilt: Floats

    @property
    def items(self) -> int:
        """How many items there are."""
        return len(self.price)


def draw(seed: int, items: int, law: Law) -> Catalogue:
    """Draw a catalogue of `items` items."""
    levels, units, cycles, centres, widths, genders, incomes = (np.array(column) for column in zip(*_TRAITS.values(), strict=True))
    numbers = np.arange(items)
    category = numbers % len(CATEGORIES)
    # each category is served by six of the brands
    slot = np.floor(uniforms(seed, "item brand", numbers) ** 1.4 * 6).astype(np.int64)
    brand = (category * 5 + slot * 3) % law.brands
    tier = np.linspace(-1.2, 1.2, law.brands)[np.argsort(uniforms(seed, "brand tier", np.arange(law.brands)))]
    log_price = np.log(levels[category]) + 0.25 * tier[brand] + law.price_sigma * normals(seed, "item price", numbers)
    price = np.maximum(np.round(np.exp(log_price), 1) - 0.01, 0.49)
    margin = law.margin_mean + law.margin_range * (2 * uniforms(seed, "item margin", numbers) - 1)
    rank = np.argsort(np.argsort(uniforms(seed, "item rank", numbers))) + 1
    mean_log = np.bincount(category, weights=np.log(price)) / np.bincount(category)
    is_out = uniforms(seed, "item stock", numbers) < law.out_of_stock_share
    return Catalogue(
        category=category,
        brand=brand,
        price=np.round(price, 2),
        unit_cost=np.maximum(np.round(price * (1 - margin), 2), 0.01),
        stock=np.where(is_out, 0, 20 + np.floor(4000 / np.sqrt(rank))).astype(np.int64),
        log_popularity=-law.zipf_exponent * np.log(rank),
        log_relative_price=np.log(price) - mean_log[category],
        quality=normals(seed, "item quality", numbers),
        brand_tier=tier,
        brand_style=np.arange(law.brands) % 4,
        units_beyond_first=units.astype(np.float64),
        repeat_cycle=cycles.astype(np.int64),
        age_centre=centres.astype(np.float64),
        age_width=widths.astype(np.float64),
        gender_tilt=genders.astype(np.float64),
        income_tilt=incomes.astype(np.float64),
    )
