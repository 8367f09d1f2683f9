"""Tables under the vault's own root: what names people, sealed, and the ring of keys. Not among the tables of the loop."""

from promoloop.tables.table import Column, Table, required

_KEY_MARK = required("key_mark", "string", "Which key it is sealed with; says nothing of the key")

VAULT = Table(
    name="vault",
    grain="one user of whom the source gives direct identifiers that the mapping's `vault` names, current",
    columns=(
        required("user_id", "string", "Keyed pseudonym; the seal is bound to it"),
        required("sealed", "binary", "Nonce, AES-256-GCM of the JSON of field to text, tag"),
        _KEY_MARK,
    ),
    key=("user_id",),
    writing="merge",
    written_by="ingest_events",
    place="vault",
)

KEY_RING = Table(
    name="key_ring",
    grain="one pseudonym key: that in use, and during a re-keying the next; empty before the first re-keying",
    columns=(
        _KEY_MARK,
        Column("count_earlier", "int", "Keys before it"),
        required("sealed", "binary", "Nonce, AES-256-GCM of the earlier keys under this one, tag"),
        required("is_complete", "boolean", "Whether every table is under it"),
    ),
    key=("key_mark",),
    writing="replace table",
    written_by="rekey_users",
    place="vault",
)
