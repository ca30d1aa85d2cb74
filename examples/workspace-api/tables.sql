-- The workspaces' tables, beside those of the keys. They are created at each start, unless they are there.
CREATE TABLE IF NOT EXISTS workspace (id TEXT NOT NULL PRIMARY KEY, changes BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS workspace_record (
    workspace TEXT NOT NULL REFERENCES workspace, id TEXT NOT NULL, title TEXT NOT NULL, content TEXT NOT NULL,
    changed_by TEXT NOT NULL, changed_at TEXT NOT NULL, PRIMARY KEY (workspace, id));
CREATE TABLE IF NOT EXISTS workspace_person (
    email TEXT NOT NULL PRIMARY KEY, workspace TEXT NOT NULL REFERENCES workspace, role TEXT NOT NULL,
    password TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS workspace_session (
    token TEXT NOT NULL PRIMARY KEY, email TEXT NOT NULL, password TEXT NOT NULL, ends_at TEXT NOT NULL);
