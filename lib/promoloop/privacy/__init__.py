"""Keys, pseudonyms and the vault: no table of ours names a person, and what names one is sealed."""

from promoloop.privacy.keys import Key, load_key, load_new_key, load_vault_key
from promoloop.privacy.pseudonyms import about, lines_naming, pseudonym_of, pseudonymise, pseudonymise_all, wrap, wrap_all
from promoloop.privacy.ring import finished, is_under, key_in_use, key_of_ring, refuse_unfinished, started
from promoloop.privacy.vault import add_sealed, reseal, sealed_under, unsealed

__all__ = [
    "Key",
    "about",
    "add_sealed",
    "finished",
    "is_under",
    "key_in_use",
    "key_of_ring",
    "lines_naming",
    "load_key",
    "load_new_key",
    "load_vault_key",
    "pseudonym_of",
    "pseudonymise",
    "pseudonymise_all",
    "refuse_unfinished",
    "reseal",
    "sealed_under",
    "started",
    "unsealed",
    "wrap",
    "wrap_all",
]
