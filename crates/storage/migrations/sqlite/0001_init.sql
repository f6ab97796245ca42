-- Routing data: one table per CSV file, the same names and columns. Prices are decimal text, absent values NULL;
-- columns that belong to a key are '' when absent. The compiler of the routing tables checks references.
CREATE TABLE customers (
    id           INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: counters and cookies carry it
    name         TEXT NOT NULL UNIQUE,
    rate_sheet   TEXT,
    routing_plan TEXT NOT NULL,
    currency     TEXT,
    cps_limit    INTEGER,
    channel_limit INTEGER,
    strip        INTEGER,
    prepend      TEXT,
    enabled      INTEGER NOT NULL DEFAULT 1,
    lookup       TEXT,
    lookup_query TEXT
);

CREATE TABLE customer_addresses (
    customer    TEXT NOT NULL,
    address     TEXT NOT NULL,
    transport   TEXT NOT NULL DEFAULT '',
    tech_prefix TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (address, transport, tech_prefix)
) WITHOUT ROWID;

CREATE TABLE vendors (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE,
    rate_sheet   TEXT,
    currency     TEXT,
    cps_limit    INTEGER,
    channel_limit INTEGER,
    strip        INTEGER,
    prepend      TEXT,
    enabled      INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE vendor_gateways (
    vendor           TEXT NOT NULL,
    address          TEXT NOT NULL,
    transport        TEXT NOT NULL DEFAULT '',
    priority         INTEGER,
    weight           INTEGER,
    probe_interval_s INTEGER,
    PRIMARY KEY (vendor, address, transport)
) WITHOUT ROWID;

CREATE TABLE routing_plans (
    name         TEXT PRIMARY KEY,
    mode         TEXT NOT NULL,
    max_attempts INTEGER,
    margin_min   TEXT,
    lookup       TEXT,
    lookup_query TEXT
) WITHOUT ROWID;

CREATE TABLE routes (
    plan     TEXT NOT NULL,
    prefix   TEXT NOT NULL,
    vendor   TEXT NOT NULL,
    priority INTEGER,
    weight   INTEGER,
    schedule TEXT,
    enabled  INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (plan, prefix, vendor)
) WITHOUT ROWID;

CREATE TABLE rates (
    sheet              TEXT NOT NULL,
    prefix             TEXT NOT NULL,
    rate               TEXT NOT NULL,
    connect_fee        TEXT,
    initial_interval_s INTEGER,
    next_rate          TEXT,
    next_interval_s    INTEGER,
    effective_from     TEXT NOT NULL DEFAULT '',
    effective_to       TEXT,
    PRIMARY KEY (sheet, prefix, effective_from)
) WITHOUT ROWID;

-- One row: goes up by one with every change made by `tandem load`.
CREATE TABLE routing_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
);
INSERT INTO routing_version (id, version) VALUES (1, 0);

-- Call detail records: the documented keys. Times are RFC 3339 UTC with six digits, so text order is time order.
CREATE TABLE cdr (
    cdr_id            TEXT PRIMARY KEY,
    node              TEXT NOT NULL,
    call_id           TEXT NOT NULL,
    from_tag          TEXT NOT NULL,
    to_tag            TEXT,
    customer          TEXT NOT NULL,
    vendor            TEXT,
    source            TEXT NOT NULL,
    next_hop          TEXT,
    caller            TEXT NOT NULL,
    callee            TEXT NOT NULL,
    callee_routed     TEXT,
    callee_sent       TEXT,
    setup_at          TEXT NOT NULL,
    ring_at           TEXT,
    answer_at         TEXT,
    end_at            TEXT,
    pdd_ms            INTEGER,
    duration_ms       INTEGER NOT NULL,
    status            INTEGER,
    cause             TEXT NOT NULL,
    ended_by          TEXT,
    attempts          TEXT NOT NULL, -- JSON array
    customer_rate     TEXT,
    customer_billed_s INTEGER NOT NULL,
    customer_price    TEXT,
    customer_currency TEXT,
    vendor_rate       TEXT,
    vendor_billed_s   INTEGER NOT NULL,
    vendor_price      TEXT,
    vendor_currency   TEXT,
    q850_cause        INTEGER,
    reason            TEXT,
    pai               TEXT,
    lrn               TEXT,
    transport_in      TEXT NOT NULL,
    transport_out     TEXT,
    listener          TEXT NOT NULL,
    customer_prefix   TEXT,
    vendor_prefix     TEXT,
    route_version     INTEGER NOT NULL
);
CREATE INDEX cdr_setup_at ON cdr (setup_at);
CREATE INDEX cdr_call_id ON cdr (call_id);

-- Calls refused without a CDR of their own, added up.
CREATE TABLE refused (
    node      TEXT NOT NULL,
    minute_at TEXT NOT NULL,
    source    TEXT NOT NULL,
    cause     TEXT NOT NULL,
    customer  TEXT NOT NULL DEFAULT '',
    count     INTEGER NOT NULL,
    PRIMARY KEY (node, minute_at, source, cause, customer)
) WITHOUT ROWID;

-- Ends seen by a node that did not know the call; joined to cdr by cdr_id.
CREATE TABLE ended_alone (
    cdr_id   TEXT NOT NULL,
    node     TEXT NOT NULL,
    at       TEXT NOT NULL,
    ended_by TEXT NOT NULL,
    status   INTEGER,
    PRIMARY KEY (cdr_id, node, at)
) WITHOUT ROWID;

-- How far each journal segment has been shipped. Written in the transaction of the records themselves.
CREATE TABLE ship_cursor (
    segment TEXT PRIMARY KEY, -- random id in the header of the segment: unique over nodes and reinstallations
    node    TEXT NOT NULL,
    boot    INTEGER NOT NULL,
    lane    INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    seq     INTEGER NOT NULL
) WITHOUT ROWID;
