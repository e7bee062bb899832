// name: prepare_migration_lock() none write
// See to it that there can be only one lock.
CREATE CONSTRAINT migration_lock IF NOT EXISTS FOR (l:MigrationLock) REQUIRE l.id IS UNIQUE

// name: applied_migrations() many read
// The migrations that this graph has, with the checksum of each as it was applied.
MATCH (m:Migration)
RETURN m.name AS name, m.checksum AS checksum
ORDER BY name

// name: lock_migrations(owner, now, until) one write
// Take the lock for migrating; no row while another holds it.
MERGE (l:MigrationLock {id: 'migrations'})
SET l._touch = $owner
WITH l WHERE l.owner IS NULL OR l.owner = $owner OR l.until < $now
SET l.owner = $owner, l.until = $until
RETURN l.owner AS owner

// name: unlock_migrations(owner) none write
// Give the lock for migrating back.
MATCH (l:MigrationLock {id: 'migrations', owner: $owner})
SET l.owner = NULL, l.until = NULL

// name: record_migration(name, checksum, now) none write
// Note that a migration was applied.
MERGE (m:Migration {name: $name})
SET m.checksum = $checksum, m.applied_at = $now
