package dialect

import (
	"fmt"
	"strings"
)

// Column is a column as the database has it.
type Column struct {
	Name       string
	Type       string // in lower case, as a migration writes it
	IsNullable bool
}

// ColumnsQuery asks for the columns of a table, as name, type and whether they are nullable; there are none where there is
// no such table. Of a domain of PostgreSQL's it is the type that the domain is made of.
func (d Dialect) ColumnsQuery(t Table) (query string, args []any) {
	switch d.Name {
	case postgres:
		return "SELECT a.attname AS name, CASE y.typtype WHEN 'd' THEN format_type(y.typbasetype, y.typtypmod) " +
			"ELSE format_type(a.atttypid, a.atttypmod) END AS type, NOT (a.attnotnull OR y.typnotnull) AS is_nullable " +
			"FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid " +
			"WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum", []any{d.QuoteTable(t)}
	case mysql:
		return "SELECT column_name AS name, column_type AS type, is_nullable = 'YES' AS is_nullable FROM information_schema.columns " +
			"WHERE table_schema = " + schemaOrOwn + " AND table_name = ? ORDER BY ordinal_position", []any{t.Schema, t.Name}
	}
	return `SELECT name, type, "notnull" = 0 AS is_nullable FROM pragma_table_xinfo(?, ?) ORDER BY cid`, []any{t.Name, t.sqliteSchema()}
}

const schemaOrOwn = "COALESCE(NULLIF(?, ''), DATABASE())"

func (t Table) sqliteSchema() string {
	if t.Schema == "" {
		return "main"
	}
	return t.Schema
}

// StoredTrigger is a trigger as the database has it.
type StoredTrigger struct {
	Name      string
	Function  string // PostgreSQL's, quoted, with its schema
	IsShared  bool   // the function is that of another table's trigger too
	OnTable   string // the table that it is a trigger of, with its schema
	IsOnTable bool   // that is the table which was asked about
	IsEnabled bool
	Text      string // see TriggerText
}

// TriggersQuery asks for the triggers of a table, and for whatever else has the name of the trigger that is to be.
func (d Dialect) TriggersQuery(t Trigger) (query string, args []any) {
	switch d.Name {
	case postgres:
		return "SELECT g.tgname AS name, format('%I.%I', fs.nspname, f.proname) AS function, f.prosrc AS text, " +
				"g.tgrelid IS NOT DISTINCT FROM to_regclass(?) AS is_on_table, format('%I.%I', ts.nspname, c.relname) AS on_table, g.tgenabled <> 'D' AS is_enabled, " +
				"EXISTS (SELECT 1 FROM pg_catalog.pg_trigger o WHERE o.tgfoid = g.tgfoid AND o.tgrelid <> g.tgrelid AND o.tgparentid = 0) AS is_shared " +
				"FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace ts ON ts.oid = c.relnamespace " +
				"JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid JOIN pg_catalog.pg_namespace fs ON fs.oid = f.pronamespace " +
				"WHERE g.tgname = ? AND g.tgparentid = 0 AND (g.tgrelid = to_regclass(?) OR g.tgfoid = to_regproc(?))",
			[]any{d.QuoteTable(t.Table), postgresTrigger, d.QuoteTable(t.Table), d.QuoteTable(t.name())}
	case mysql:
		return "SELECT trigger_name AS name, action_statement AS text, event_object_table = ? AS is_on_table, event_object_table AS on_table, " +
			"TRUE AS is_enabled FROM information_schema.triggers WHERE trigger_schema = " + schemaOrOwn +
			" AND (event_object_table = ? OR trigger_name = ?)", []any{t.Table.Name, t.Table.Schema, t.Table.Name, t.name().Name}
	}
	return fmt.Sprintf("SELECT name, sql AS text, tbl_name = ? COLLATE NOCASE AS is_on_table, tbl_name AS on_table, TRUE AS is_enabled FROM %s.sqlite_master "+
			"WHERE type = 'trigger' AND (tbl_name = ? COLLATE NOCASE OR name = ? COLLATE NOCASE)", d.quote(t.Table.sqliteSchema())),
		[]any{t.Table.Name, t.Table.Name, t.name().Name}
}

// IsOwn reports whether CreateTrigger made the trigger, for whichever name the table had then.
func (s StoredTrigger) IsOwn() bool {
	return s.Name == postgresTrigger || strings.HasPrefix(s.Name, triggerPrefix)
}

// Serves reports whether a stored trigger is the one that CreateTrigger would make.
func (d Dialect) Serves(s StoredTrigger, t Trigger) bool {
	return d.IsNamedFor(s, t) && s.IsOnTable && s.IsEnabled && !s.IsShared && s.Text == d.TriggerText(t)
}

// IsNamedFor reports whether a stored trigger has the name that the table's is to have: after a rename it has the old one.
func (d Dialect) IsNamedFor(s StoredTrigger, t Trigger) bool {
	if d.Name != postgres {
		return d.SameName(s.Name, t.name().Name)
	}
	function, _, _ := TableIn(s.Function)
	return function.Name == t.name().Name
}

// DropStored gives the statements that remove a stored trigger.
func (d Dialect) DropStored(s StoredTrigger, t Trigger) []string {
	if d.Name != postgres {
		return []string{"DROP TRIGGER IF EXISTS " + d.QuoteTable(Table{Schema: t.Table.Schema, Name: s.Name})}
	}
	drop := []string{fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", postgresTrigger, d.QuoteTable(t.Table))}
	if !s.IsShared {
		drop = append(drop, fmt.Sprintf("DROP FUNCTION IF EXISTS %s()", s.Function))
	}
	return drop
}

// LockTriggers is a statement by which one transaction, or one connection where Unlock is one too, at a time changes
// triggers; it is empty where the changes themselves wait for each other.
func (d Dialect) LockTriggers() (lock, unlock string) {
	switch {
	case d.Name == postgres:
		return "SELECT pg_advisory_xact_lock(hashtext('" + triggerPrefix + "'))", ""
	case d.Name == mysql && !d.ReplacesTriggers:
		return "SELECT GET_LOCK('" + triggerPrefix + "', -1)", "SELECT RELEASE_LOCK('" + triggerPrefix + "')"
	}
	return "", ""
}
