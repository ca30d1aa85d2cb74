-- The audit trail is append-only.
CREATE FUNCTION @audit_guard() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
    cutoff BIGINT;
BEGIN
    IF TG_OP = 'DELETE' THEN
        EXECUTE format('SELECT cutoff FROM %I.#audit_retention', TG_TABLE_SCHEMA) INTO cutoff;
        IF OLD.at < cutoff THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the audit trail is append-only';
END
$guard$;
CREATE TRIGGER #audit_guard BEFORE UPDATE OR DELETE ON @audit
    FOR EACH ROW EXECUTE FUNCTION @audit_guard();
CREATE TRIGGER #audit_guard_truncate BEFORE TRUNCATE ON @audit
    FOR EACH STATEMENT EXECUTE FUNCTION @audit_guard();
