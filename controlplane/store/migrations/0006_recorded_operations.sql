-- Whether the call that asked for an operation is in the audit log. A process that died before it
-- got so far leaves this false, and another one makes up for it. What was there before counts as
-- recorded: it was asked for before there was a log.
ALTER TABLE operations ADD COLUMN recorded boolean NOT NULL DEFAULT true;
ALTER TABLE operations ALTER COLUMN recorded SET DEFAULT false;
CREATE INDEX operations_not_recorded ON operations (claimed_at)
    WHERE NOT recorded AND request IS NOT NULL AND view IS NOT NULL;
