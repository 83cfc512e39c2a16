-- Every version of every resource is a row; index rows belong to a version. A state sees its own layer and, of
-- the layers it was forked from, what was there at that moment. What a layer replaced or deleted is in `gone`.
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state (
    layer INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    parent INTEGER REFERENCES state (layer),
    upto INTEGER NOT NULL,
    savepoint INTEGER NOT NULL,
    savepoint_sum TEXT NOT NULL,
    resets INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS identity (key INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, UNIQUE (type, id));
CREATE TABLE IF NOT EXISTS version (
    pk INTEGER PRIMARY KEY AUTOINCREMENT,
    layer INTEGER NOT NULL,
    key INTEGER NOT NULL,
    type TEXT NOT NULL,
    number INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    method TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    body TEXT
);
CREATE INDEX IF NOT EXISTS version_by_key ON version (key, pk);
CREATE INDEX IF NOT EXISTS version_by_type ON version (type, pk);
CREATE INDEX IF NOT EXISTS version_by_layer ON version (layer, pk);
CREATE TABLE IF NOT EXISTS gone (pk INTEGER, layer INTEGER, by INTEGER NOT NULL, PRIMARY KEY (pk, layer)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS gone_by_layer ON gone (layer, by);
CREATE TABLE IF NOT EXISTS term (
    key INTEGER PRIMARY KEY, system TEXT NOT NULL, code TEXT NOT NULL, folded TEXT NOT NULL, UNIQUE (system, code)
);
CREATE INDEX IF NOT EXISTS term_by_code ON term (folded);
CREATE TABLE IF NOT EXISTS token (pk INTEGER, path INTEGER, term INTEGER, PRIMARY KEY (pk, path, term)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reference (
    pk INTEGER, path INTEGER, target INTEGER, PRIMARY KEY (pk, path, target)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS date (
    pk INTEGER, path INTEGER, lo INTEGER, hi INTEGER, PRIMARY KEY (pk, path, lo, hi)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS string (
    pk INTEGER, path INTEGER, folded TEXT, exact TEXT, PRIMARY KEY (pk, path, folded, exact)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quantity (
    pk INTEGER, path INTEGER, lo REAL, hi REAL, system TEXT, code TEXT, unit TEXT,
    PRIMARY KEY (pk, path, lo, hi, system, code, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bare (pk INTEGER, path INTEGER, PRIMARY KEY (pk, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uri (pk INTEGER, path INTEGER, value TEXT, PRIMARY KEY (pk, path, value)) WITHOUT ROWID;
