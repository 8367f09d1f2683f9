"""Settings of what arrives: sources, events, privacy."""

from typing import Annotated, Literal

from pydantic import Field

from promoloop.settings.section import Section


class SourceSettings(Section):
    """Which log is read."""

    name: str = Field(description="Stem of a mapping file in conf/sources, or a path to one")
    path: str | None = Field(default=None, description="Folder of the source's files; default: the package's own, else paths.landing")
    every_seconds: int = Field(default=0, ge=0, description="How often ingestion looks for new files until it is stopped; 0: once")
    max_files: int = Field(default=1000, ge=1, description="Most files of one take, so that a backlog is worked off in pieces")


class EventsSettings(Section):
    """Cleaning and gating of events."""

    max_rejected_share: float = Field(ge=0, le=1, description="Share of a batch that may be rejected before the run stops")
    let_in: list[str] = Field(default=[], description="Batches that somebody looked at and that no gate is to stop")
    days_near: int = Field(ge=1, description="Days on either side of a new event's that are looked at for its id and its session")
    session_gap_minutes: int = Field(ge=1, description="A pause this long ends a session, where the source has none")
    max_quantity: int = Field(ge=1, description="Most units of one purchase, in categories without a limit of their own")
    max_quantity_of: dict[str, Annotated[int, Field(ge=1)]] = Field(default={}, description="Most units of one purchase, by category")
    unknown_users: Literal["quarantine", "placeholder"] = Field(description="What an arriving event of a user no set has named leads to")
    unknown_items: Literal["quarantine", "placeholder"] = Field(description="The same of items")
    bot_min_events: int = Field(ge=2, description="Fewest events of a user on a day from which the day is looked at for a bot")
    bot_events_per_hour: int = Field(ge=1, description="More events an hour than this are a bot's")
    bot_regularity: float = Field(ge=0, le=1, description="Gaps between events deviating less than this share of their mean are a bot's")
    bot_dwell_seconds: float = Field(ge=0, description="Half of the gaps between a day's events shorter than this: a bot's")


class PrivacySettings(Section):
    """Pseudonyms and publishing."""

    key: str | None = Field(default=None, description="Reference to the pseudonym key: file:PATH, env:NAME or secret:SCOPE/NAME")
    new_key: str | None = Field(default=None, description="Reference to the key that rekey_users changes to")
    has_vault: bool = Field(description="Keep the direct identifiers a mapping calls `vault`, encrypted, under paths.vault; else nowhere")
    vault_key: str | None = Field(default=None, description="Reference to the key of the vault, another one than the pseudonyms'")
    forget: list[str] = Field(default=[], description="Users (raw ids, as the mapping makes them) that forget_user erases")
    k_anonymity: int = Field(ge=1, description="Smallest group of users a published aggregate may show")
