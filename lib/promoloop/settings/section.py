"""What every section of the settings shares: frozen, and a misspelt key is an error."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every settings section."""

    model_config = ConfigDict(extra="forbid", frozen=True)
