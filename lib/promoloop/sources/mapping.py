"""A mapping file: how one outside log becomes our raw columns. The guide for people is docs/sources.md."""

import hashlib
import re
import tomllib
from collections import Counter
from collections.abc import Collection
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from promoloop import home
from promoloop.errors import UserError
from promoloop.settings.load import text_of
from promoloop.settings.section import Section
from promoloop.tables import ITEMS, PAST_OFFERS, PROMOTIONS, RAW_EVENTS, USERS

Entity = Literal["events", "users", "items", "promotions", "past_offers"]
EVENT_TYPES = ("view", "cart", "purchase", "review", "offer_view", "offer_redeem")
ENTITIES = {"users": USERS, "items": ITEMS, "promotions": PROMOTIONS, "past_offers": PAST_OFFERS}
TABLES = {"events": RAW_EVENTS, **ENTITIES}
"""By entity, the table its records are for; of events as they were received."""
PLACE = ("batch_id", "source_file", "row_number", "received_at")
"""Columns that say where a record lay and when it came: a mapping says them of a set, or not at all."""
_NOT_MAPPED = (*PLACE, "source", "_rescued")


class Files(Section):
    """One set of files and what its columns mean."""

    entity: Entity = Field(description="Table the rows are for")
    files: str = Field(description="Glob below the source's folder")
    format: Literal["json", "csv", "parquet", "delta"]
    separator: str = Field(default=",", min_length=1, max_length=1, description="csv alone")
    fields: list[str] = Field(min_length=1, description="The source's columns; any other column is new, and kept in _rescued")
    personal: list[str] = Field(default=[], description="Fields with a user's id or other direct identifiers: never kept in _rescued")
    keyed: list[str] = Field(default=[], description="Our columns, beside user_id, whose text names a person: they become pseudonyms too")
    vault: list[str] = Field(default=[], description="Personal fields of users kept encrypted in the vault, where privacy.has_vault is set")
    columns: dict[str, str] = Field(min_length=1, description="Our column = Spark SQL over the source's fields, all of them text")
    only: str | None = Field(default=None, description="Spark SQL condition over the fields; other readable rows are not for this entity")
    times: list[str] = Field(
        default=["ISO"], description="Formats of times, tried in order: ISO, seconds, milliseconds, or a Spark pattern"
    )
    zone: str = Field(default="UTC", description="Zone of times that carry no offset")
    vocabulary: dict[str, list[str]] = Field(default={}, description="Our event type = the source's words for it")
    has_own_ids: bool = Field(default=False, description="Two events of equal content under two ids are two events, not a repeat")
    batch: str = Field(
        default="substring_index(substring_index(source_file, '/', -2), '/', 1)",
        description="Spark SQL over source_file and file_modified_at: the batch's name",
    )
    received_at: str = Field(default="file_modified_at", description="Spark SQL over source_file, batch_id and file_modified_at")

    @model_validator(mode="after")
    def _vault_is_of_users(self) -> "Files":
        if self.vault and self.entity != "users":
            raise ValueError("only a set of users has a vault")
        stray = sorted(set(self.vault) - set(self.personal))
        if stray:
            raise ValueError(f"vault: {', '.join(stray)} must be among personal, or would be kept in the clear")
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> "Files":
        ours = [name for name in TABLES[self.entity].column_names if name not in _NOT_MAPPED]
        moved = sorted(set(self.columns) & set(Files.model_fields) - set(ours))
        if moved:
            raise ValueError(f"columns: {', '.join(moved)} is said of the whole set: put it above [sets.columns]")
        _refuse_unknown(f"columns of {self.entity}", self.columns, ours)
        _refuse_unknown("keyed, of columns", self.keyed, list(self.columns))
        _refuse_unknown("vault, of fields", self.vault, self.fields)
        _refuse_unknown("vocabulary", self.vocabulary, EVENT_TYPES)
        return self

    @property
    def used(self) -> list[str]:
        """The fields that columns or `only` speak of."""
        return [name for name in self.fields if any(re.search(_word(name), said) for said in (*self.columns.values(), self.only or ""))]

    def is_personal(self, column: str) -> bool:
        """Whether our `column` is made from a personal field: whether its expression holds the name as a word, in whatever case."""
        return any(re.search(_word(name), self.columns[column], re.IGNORECASE) for name in self.personal)


class Mapping(Section):
    """A whole source: its name, its place, its files."""

    name: str
    title: str = Field(description="One line for people")
    package: str | None = Field(default=None, description="Python package that ships the data; paths start in its folder")
    sets: list[Files] = Field(min_length=1)

    def given_columns(self, entity: Entity) -> set[str]:
        """Our columns of `entity` that the source gives at all."""
        return {column for files in self.sets if files.entity == entity for column in files.columns}

    def streams(self) -> list[tuple[Files, str]]:
        """Every set, and the name under which is remembered what was taken of it: by what it takes, wherever it stands in the mapping."""
        seen: Counter[str] = Counter()
        named = []
        for one in self.sets:
            digest = hashlib.sha256(f"{one.files}\n{one.only or ''}".encode()).hexdigest()[:8]
            name = f"{self.name}-{one.entity}-{digest}"
            seen[name] += 1
            named.append((one, name if seen[name] == 1 else f"{name}-{seen[name]}"))  # two sets may each give a part of an item
        return named

    @property
    def has_own_ids(self) -> bool:
        """Whether an event's id alone tells it from another."""
        return any(files.has_own_ids for files in self.sets if files.entity == "events")

    def folder(self, path: str | None, landing: str) -> str:
        """The folder (or URI) the globs start from: `path`, else the package's own folder, else `landing`. Raises UserError."""
        if path is not None:
            found = path
        elif self.package is not None:
            try:
                found = str(files(self.package))
            except ModuleNotFoundError:
                raise UserError(f"source {self.name}: package {self.package} is not installed") from None
        else:
            found = landing
        if ":" in found:
            return found.rstrip("/")
        if not Path(found).exists():
            raise UserError(f"source {self.name}: no folder {found!r}")
        return str(Path(found).resolve())


def load_mapping(name: str) -> Mapping:
    """The mapping called `name` in conf/sources, or in the file at path `name`. Raises UserError naming file and key."""
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise UserError(f"source.name: no mapping file {name!r}")
        stem, text = path.stem, text_of(path, f"mapping file {path.name}")
    else:
        packed = home.folder("conf") / "sources" / f"{name}.toml"
        if not packed.is_file():
            raise UserError(f"source.name: no mapping {name!r}; there are {', '.join(list_mappings())}")
        stem, text = name, text_of(packed, f"mapping file {packed.name}")
    try:
        return Mapping.model_validate({"name": stem, **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"mapping file {stem}.toml: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(f"mapping file {stem}.toml: {key}: {first['msg'].removeprefix('Value error, ')}") from None


def list_mappings() -> dict[str, str]:
    """Name and title of every mapping shipped in conf/sources."""
    shipped = sorted(entry.name for entry in (home.folder("conf") / "sources").iterdir() if entry.name.endswith(".toml"))
    return {name.removesuffix(".toml"): load_mapping(name.removesuffix(".toml")).title for name in shipped}


def _word(name: str) -> str:
    return rf"(?<!\w){re.escape(name)}(?!\w)"


def _refuse_unknown(key: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1, 0.7)
            raise ValueError(f"{key}: no {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"))
