-- The product's tables, beside those of the keys. They are created at each start, unless they are there.
CREATE TABLE IF NOT EXISTS platform_organization (
    id TEXT NOT NULL PRIMARY KEY, plan TEXT NOT NULL, on_leak TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS platform_project (
    organization TEXT NOT NULL, environment TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (organization, environment, name));
CREATE TABLE IF NOT EXISTS platform_member (
    email TEXT NOT NULL PRIMARY KEY, organization TEXT NOT NULL, password TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS platform_session (
    digest TEXT NOT NULL PRIMARY KEY, data TEXT NOT NULL, ends_at BIGINT NOT NULL);
INSERT INTO platform_organization VALUES ('main', 'enterprise', 'revoke') ON CONFLICT DO NOTHING;
