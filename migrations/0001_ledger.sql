-- +goose Up

-- One row per migration: what was asked for, who works on it, how far it is.
-- The counters are sums over file, kept in the same transaction as the rows.
CREATE TABLE migration (
    id            text        PRIMARY KEY, -- id of the tracking document
    instance      text        NOT NULL,
    account_id    text        NOT NULL,
    source_path   text        NOT NULL,
    source_is_file boolean    NOT NULL DEFAULT false, -- known from the first slice on
    source_key    text,       -- which account it reads, as a hash; null: not opened yet, '': more than one
    target_dir    text        NOT NULL DEFAULT '', -- known from the first slice on

    state         text        NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'running', 'completed', 'failed', 'canceled')),
    failure_reason text,      -- a word of the engine's vocabulary, never free text
    bytes_missing bigint      NOT NULL DEFAULT 0, -- room that lacks in a full target
    report_name   text,       -- of the report in the target folder, noted before it is written
    report_md5    bytea,
    report_missing text,      -- why there is none although there should be, a word as above
    requested_at  timestamptz NOT NULL,
    admitted_at   timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    cancel_requested_at timestamptz,
    reopened_from text        -- final state that a retry undid, until the tracking document is written
        CHECK (reopened_from IN ('completed', 'failed')),
    once          boolean     NOT NULL DEFAULT false, -- migrate-once works on it, and no worker does
    purged_at     timestamptz, -- its entries are being removed

    -- The lease: the right of one worker to this migration, by this clock only.
    -- The term grows with each claim and fences every write.
    lease_owner   text,
    lease_term    bigint      NOT NULL DEFAULT 0,
    lease_until   timestamptz,
    takeovers     integer     NOT NULL DEFAULT 0, -- holders that vanished: what they had sent may be there uncounted
    served_at     timestamptz, -- start of the last slice: who waited longest is next
    due_at        timestamptz NOT NULL DEFAULT now(), -- not before; grows while a side is down
    pauses        integer     NOT NULL DEFAULT 0, -- in a row, without progress between
    pause_reason  text,
    progressed_at timestamptz, -- last time that an entry was listed or got its result
    trace_parent  text        NOT NULL DEFAULT '', -- of the request, for spans of whoever works on it

    files_total   bigint      NOT NULL DEFAULT 0,
    files_done    bigint      NOT NULL DEFAULT 0,
    files_failed  bigint      NOT NULL DEFAULT 0,
    files_skipped bigint      NOT NULL DEFAULT 0,
    folders_total bigint      NOT NULL DEFAULT 0,
    folders_listed bigint     NOT NULL DEFAULT 0,
    folders_failed bigint     NOT NULL DEFAULT 0,
    folders_skipped bigint    NOT NULL DEFAULT 0,
    bytes_expected bigint     NOT NULL DEFAULT 0, -- what the source says its root holds
    bytes_total   bigint      NOT NULL DEFAULT 0, -- listed so far
    bytes_done    bigint      NOT NULL DEFAULT 0,

    -- The mirror: the tracking document is behind while mirrored < changed.
    changed       bigint      NOT NULL DEFAULT 1,
    mirrored      bigint      NOT NULL DEFAULT 0,
    mirrored_at   timestamptz,
    mirror_due_at timestamptz DEFAULT now(), -- null: final, and nothing left to write
    mirror_tries  integer     NOT NULL DEFAULT 0, -- in a row

    -- An app password that was made for the migration is given back when it is over.
    password_due_at timestamptz DEFAULT now(), -- not before; null: nothing left to give back
    password_tries integer    NOT NULL DEFAULT 0,

    CONSTRAINT final_is_finished
        CHECK ((state IN ('completed', 'failed', 'canceled')) = (finished_at IS NOT NULL)),
    CONSTRAINT failed_has_reason
        CHECK ((state = 'failed') = (failure_reason IS NOT NULL)),
    CONSTRAINT final_has_no_lease
        CHECK (finished_at IS NULL OR lease_owner IS NULL),
    CONSTRAINT files_add_up
        CHECK (files_done + files_failed + files_skipped <= files_total)
);

-- One active migration per instance: the last guard behind the trigger's.
CREATE UNIQUE INDEX migration_active_instance ON migration (instance)
    WHERE state IN ('pending', 'running');
-- The claim looks for due work, longest unserved first.
CREATE INDEX migration_claim ON migration (served_at NULLS FIRST)
    WHERE state IN ('pending', 'running');
-- A rerun looks for the earlier migrations of its instance.
CREATE INDEX migration_instance ON migration (instance);
-- The mirror's sweep looks for documents that are behind. Not by the counters
-- themselves: each batch changes them, and an index on them would cost it HOT.
CREATE INDEX migration_mirror ON migration (mirror_due_at)
    WHERE mirror_due_at IS NOT NULL;

-- The search for passwords to give back.
CREATE INDEX migration_password ON migration (password_due_at)
    WHERE finished_at IS NOT NULL AND password_due_at IS NOT NULL;

-- A folder as the source listed it. Its children are complete when it is listed.
CREATE TABLE folder (
    migration_id text        NOT NULL REFERENCES migration ON DELETE CASCADE,
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    parent_id    bigint, -- null: the root
    name         text        NOT NULL,
    path         text        NOT NULL, -- from the root, without a leading slash
    mod_time     timestamptz,
    created_at   timestamptz,
    source_id    text        NOT NULL DEFAULT '',
    favorite     boolean     NOT NULL DEFAULT false,
    tags         text        NOT NULL DEFAULT '', -- one a line
    etag         text        NOT NULL DEFAULT '', -- when its listing began: changes with every file in it
    target_id    text, -- set once the folder is known to exist in the target
    target_name  text, -- where it differs from name
    state        text        NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'listed', 'failed', 'skipped')),
    attempts     smallint    NOT NULL DEFAULT 0,
    reason       text,
    CONSTRAINT listed_has_target CHECK (state <> 'listed' OR target_id IS NOT NULL),
    PRIMARY KEY (migration_id, id),
    -- Listing a folder again after a crash adds nothing twice.
    UNIQUE NULLS NOT DISTINCT (migration_id, parent_id, name)
) WITH (fillfactor = 80);

-- A rerun looks for what earlier migrations put into the same folder of the target.
CREATE INDEX folder_target ON folder (migration_id, target_id) WHERE target_id IS NOT NULL;

-- A file as the source listed it, and what became of it. No index on state, and
-- room in each page for a second version of all its rows, since one batch of results
-- may touch them all: they are then updated in place (HOT).
CREATE TABLE file (
    migration_id text        NOT NULL REFERENCES migration ON DELETE CASCADE,
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    folder_id    bigint      NOT NULL,
    name         text        NOT NULL,
    size         bigint      NOT NULL, -- bytes as listed, then as copied
    mod_time     timestamptz,
    created_at   timestamptz,
    etag         text        NOT NULL DEFAULT '',
    source_id    text        NOT NULL DEFAULT '',
    mime         text        NOT NULL DEFAULT '',
    checksums    text        NOT NULL DEFAULT '',
    favorite     boolean     NOT NULL DEFAULT false,
    tags         text        NOT NULL DEFAULT '', -- one a line
    state        text        NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'done', 'failed', 'skipped')),
    attempts     smallint    NOT NULL DEFAULT 0,
    reason       text, -- why it failed, was skipped, or is tried again
    md5          bytea,
    suspects     text[], -- copies in the target that are bad, and may be there still
    target_id    text,
    target_name  text, -- where it differs from name
    note         text, -- what the report has to say of a file that did arrive
    finished_at  timestamptz,
    CONSTRAINT done_has_target CHECK (state <> 'done' OR (target_id IS NOT NULL AND md5 IS NOT NULL)),
    PRIMARY KEY (migration_id, id),
    UNIQUE (migration_id, folder_id, name)
) WITH (fillfactor = 43);

-- What the tracking document lists: each entry that failed or was skipped, in
-- the order it happened. Insert-only, so that file needs no index on state.
CREATE TABLE notice (
    migration_id text        NOT NULL REFERENCES migration ON DELETE CASCADE,
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    kind         text        NOT NULL CHECK (kind IN ('failed', 'skipped')),
    path         text        NOT NULL,
    reason       text        NOT NULL,
    size         bigint      NOT NULL DEFAULT 0,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (migration_id, kind, id)
);

-- A cancellation that came before its request. Of several instances that name one
-- id only the request's own counts.
CREATE TABLE cancellation (
    migration_id text        NOT NULL,
    instance     text        NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (migration_id, instance)
);

-- What happened to a migration, for operators: the newest of each, so that one
-- that is paused for weeks does not grow for ever. Entries are not in it.
CREATE TABLE event (
    migration_id text        NOT NULL REFERENCES migration ON DELETE CASCADE,
    id           bigint      GENERATED ALWAYS AS IDENTITY,
    at           timestamptz NOT NULL DEFAULT now(),
    kind         text        NOT NULL,
    worker       text,
    reason       text, -- a word of the engine's vocabulary
    PRIMARY KEY (migration_id, id)
);

-- Written by the database, so that no statement that moves a lease or a state can
-- forget its event.
-- +goose StatementBegin
CREATE FUNCTION note_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    over constant text[] := '{completed,failed,canceled}';
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO event (migration_id, kind) VALUES (NEW.id, 'requested');
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.cancel_requested_at IS NULL AND NEW.cancel_requested_at IS NOT NULL THEN
        INSERT INTO event (migration_id, kind) VALUES (NEW.id, 'cancel_requested');
    END IF;
    IF NEW.state = ANY (over) AND (TG_OP = 'INSERT' OR OLD.state <> NEW.state) THEN
        INSERT INTO event (migration_id, kind, worker, reason)
        VALUES (NEW.id, NEW.state, CASE WHEN TG_OP = 'UPDATE' THEN OLD.lease_owner END, NEW.failure_reason);
    ELSIF TG_OP = 'UPDATE' AND OLD.state = ANY (over) AND NOT NEW.state = ANY (over) THEN
        INSERT INTO event (migration_id, kind) VALUES (NEW.id, 'reopened');
    ELSIF TG_OP = 'UPDATE' AND NEW.lease_owner IS NOT NULL AND OLD.lease_term <> NEW.lease_term THEN
        INSERT INTO event (migration_id, kind, worker)
        VALUES (NEW.id, CASE WHEN OLD.lease_owner IS NULL THEN 'claimed' ELSE 'taken_over' END, NEW.lease_owner);
    ELSIF TG_OP = 'UPDATE' AND OLD.lease_owner IS NOT NULL AND NEW.lease_owner IS NULL THEN
        INSERT INTO event (migration_id, kind, worker, reason)
        VALUES (NEW.id, CASE WHEN NEW.due_at > now() THEN 'paused' ELSE 'released' END, OLD.lease_owner, NEW.pause_reason);
    END IF;
    DELETE FROM event WHERE migration_id = NEW.id AND id <= (
        SELECT id FROM event WHERE migration_id = NEW.id ORDER BY id DESC OFFSET 200 LIMIT 1);
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER migration_requested AFTER INSERT ON migration
    FOR EACH ROW EXECUTE FUNCTION note_event();
-- Not by the batches of results, which touch none of these columns.
CREATE TRIGGER migration_moved AFTER UPDATE OF state, lease_owner, lease_term, cancel_requested_at ON migration
    FOR EACH ROW
    WHEN (OLD.state <> NEW.state OR OLD.lease_owner IS DISTINCT FROM NEW.lease_owner
        OR OLD.lease_term <> NEW.lease_term OR OLD.cancel_requested_at IS DISTINCT FROM NEW.cancel_requested_at)
    EXECUTE FUNCTION note_event();
