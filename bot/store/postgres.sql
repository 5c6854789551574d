-- Two PostgreSQL roles for the bot: taskgroup_owner creates and upgrades the tables, taskgroup_bot runs the bot.
-- taskgroup_bot can't change or delete rows of the audit chain, remove its triggers, or create anything.

-- 1. As an administrator of the server: create the roles and the database. Replace both passwords.
CREATE ROLE taskgroup_owner LOGIN PASSWORD 'REPLACE-THIS';
CREATE ROLE taskgroup_bot LOGIN PASSWORD 'REPLACE-THIS-TOO';
CREATE DATABASE taskgroup OWNER taskgroup_owner;
REVOKE ALL ON DATABASE taskgroup FROM PUBLIC;
GRANT CONNECT ON DATABASE taskgroup TO taskgroup_bot;

-- 2. Run `taskgroup-bot serve` with taskgroup_owner in DATABASE_URL until it logs "serving", then stop it. Do the same
--    after each upgrade of the bot for which `check` says that the database has an older schema.

-- 3. As taskgroup_owner in the database taskgroup, after each step 2:
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO taskgroup_bot;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO taskgroup_bot;
GRANT SELECT ON alembic_version TO taskgroup_bot;
GRANT SELECT, INSERT ON audit TO taskgroup_bot;
GRANT SELECT, UPDATE ON audit_head, slack_budget, maintenance TO taskgroup_bot;
GRANT SELECT, INSERT, UPDATE ON sweeps TO taskgroup_bot;
GRANT SELECT, INSERT, UPDATE, DELETE ON requests, cards, groups, samples, alerts TO taskgroup_bot;
GRANT SELECT, INSERT, UPDATE, DELETE ON inbox, notices, circuit_breakers TO taskgroup_bot;

-- 4. Run the bot with taskgroup_bot in DATABASE_URL.
