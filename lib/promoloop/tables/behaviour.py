"""Tables of behaviour: as received, accepted, rejected, and the count of each batch."""

from promoloop.tables.table import Column, Table, required

MONEY = "decimal(18,2)"

_RECORD = (
    required("batch_id", "string", "Batch the record arrived in"),
    required("source_file", "string", "File the record arrived in, name relative to the landing folder"),
    required("row_number", "bigint", "Position of the record in its file, from 0"),
)

_BEHAVIOUR = (
    Column("event_id", "string", "Key of the event: the source's own, else a hash of the natural key"),
    Column("event_type", "string", "view, cart, purchase, review, offer_view or offer_redeem"),
    Column("user_id", "string", "Keyed pseudonym of the user"),
    Column("session_id", "string", "Session; by the session gap where the source has none"),
    Column("item_id", "string", "Item seen, bought or reviewed; null on offer events"),
    Column("promotion_id", "string", "Promotion an offer event or a promoted purchase belongs to"),
    Column("offer_id", "string", "Offer an offer event belongs to"),
    Column("order_id", "string", "Order of a purchase or redemption"),
    Column("occurred_at", "timestamp", "When it happened, UTC"),
    Column("quantity", "int", "Units; negative on a return"),
    Column("price", MONEY, "Price of one unit before any promotion"),
    Column("concession", MONEY, "On offer_redeem: money the shop gave up (discount, or unit cost of the gift)"),
    Column("rating", "int", "Stars of a review, 1 to 5"),
    Column("text", "string", "Text of a review"),
    Column("channel", "string", "Channel of an offer event, or of the visit"),
)

RAW_EVENTS = Table(
    name="raw_events",
    grain="one row per record received, as received; what did not parse or map is kept in _rescued",
    columns=(
        *_RECORD,
        required("source", "string", "Mapping the record came through"),
        required("received_at", "timestamp", "When the file arrived: its modification time, or what the mapping says, UTC"),
        *_BEHAVIOUR,
        Column("_rescued", "string", "JSON of what did not parse or map (failed, new, unread), less personal fields, mails and phones"),
    ),
    key=("batch_id", "source_file", "row_number"),
    writing="append once",
    written_by="ingest_events",
    clustering=("batch_id",),
)

EVENTS = Table(
    name="events",
    grain="one accepted behaviour event",
    columns=(
        *_BEHAVIOUR,
        required("occurred_on", "date", "UTC day of occurred_at"),
        required("batch_id", "string", "Batch it was accepted from"),
        required("record_id", "bigint", "Hash of batch, file and row: which record of raw_events it is"),
        required("fingerprint", "bigint", "Hash of what it says, its id left out: the natural key"),
    ),
    key=("event_id",),
    writing="append once",
    written_by="clean_events",
    clustering=("occurred_on", "event_id"),
)

EVENTS_REJECTED = Table(
    name="events_rejected",
    grain="one rejected record with all its reasons and the original",
    columns=(
        *_RECORD,
        required("reasons", "array<string>", "Every rule the record broke, sorted"),
        required("record", "string", "JSON of the raw_events row; user ids in it are pseudonyms"),
        required("received_at", "timestamp", "When the file arrived, UTC"),
    ),
    key=("batch_id", "source_file", "row_number"),
    writing="append once",
    written_by="clean_events",
    clustering=("batch_id",),
)

BATCHES = Table(
    name="batches",
    grain="one batch in one take (late files are a further take, and so is a release from quarantine); "
    "rows_received = rows_accepted + rows_rejected + rows_duplicate",
    columns=(
        required("batch_id", "string", "Batch"),
        required("take", "bigint", "Number of the take: what clean_events took at once; negative: a release, by requeue_events"),
        required("source", "string", "Mapping it came through"),
        required("rows_received", "bigint", "Records in raw_events; 0 in a release, as they were received before"),
        required("rows_accepted", "bigint", "Records that became events"),
        required("rows_rejected", "bigint", "Records put in quarantine; negative in a release: so many left it"),
        required("rows_duplicate", "bigint", "Records dropped as repeats of an accepted one"),
        required("reasons", "map<string,bigint>", "Rejected records by reason, under each of their reasons; negative in a release"),
        required("metrics", "map<string,double>", "What later batches are compared with: events a day, log price, shares by kind and hour"),
    ),
    key=("batch_id", "take"),
    writing="append once",
    written_by="clean_events",
)

ENTITIES_REJECTED = Table(
    name="entities_rejected",
    grain="one rejected record of users, items, promotions or past_offers with all its reasons",
    columns=(
        required("table_name", "string", "Table it was for"),
        *_RECORD,
        required("reasons", "array<string>", "Every rule the record broke, sorted"),
        required("record", "string", "JSON of the record; user ids in it are pseudonyms"),
        required("received_at", "timestamp", "When the file arrived, UTC"),
    ),
    key=("table_name", "batch_id", "source_file", "row_number"),
    writing="append once",
    written_by="ingest_events",
)
