-- The audit trail is append-only.
CREATE TRIGGER #audit_no_update BEFORE UPDATE ON @audit
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
CREATE TRIGGER #audit_no_delete BEFORE DELETE ON @audit
WHEN NOT EXISTS (SELECT 1 FROM @audit_retention WHERE OLD.at < cutoff)
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
-- INSERT OR REPLACE deletes rows without firing the trigger above.
CREATE TRIGGER #audit_no_replace BEFORE INSERT ON @audit
WHEN EXISTS (SELECT 1 FROM @audit WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
