package dialect

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Trigger has rows take their next version when an UPDATE changes them and leaves the version alone. Names are not quoted.
type Trigger struct {
	Table   Table
	Version string          // the column of the version
	Columns []WatchedColumn // whose change makes a new version
	Key     []string        // by which a row is found; empty: there is none
	Next    string          // the version after OLD's
	First   string          // the version of a new row, for those that count; else empty
}

// WatchedColumn is a column whose change counts.
type WatchedColumn struct {
	Name      string
	IsDerived bool // it may be one that the database computes from others
}

const (
	triggerPrefix   = "occ_version_"
	postgresTrigger = "occ_version" // a trigger's name is the table's own on PostgreSQL, where its function has the long one
	maxName         = 63            // what all databases take for a name, in bytes
)

// name is the trigger's, or its function's on PostgreSQL: it is in the table's schema.
func (t Trigger) name() Table {
	name := triggerPrefix + t.Table.Name
	if len(name) > maxName {
		sum := fnv.New64a()
		_, _ = sum.Write([]byte(name))
		name = fmt.Sprintf("%s%x", triggerPrefix, sum.Sum64())
	}
	return Table{Schema: t.Table.Schema, Name: name}
}

// CreateTrigger gives the statements that create the trigger, or replace it.
func (d Dialect) CreateTrigger(t Trigger) []string {
	name, table := d.QuoteTable(t.name()), d.QuoteTable(t.Table)
	switch {
	case d.Name == postgres:
		return []string{
			fmt.Sprintf("CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $occ$%s$occ$", name, d.TriggerText(t)),
			fmt.Sprintf("CREATE OR REPLACE TRIGGER %s BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION %s()", postgresTrigger, table, name),
		}
	case d.Name == sqlite:
		return append(d.DropTrigger(t), d.sqliteTrigger(t, name))
	case d.ReplacesTriggers:
		return []string{fmt.Sprintf("CREATE OR REPLACE TRIGGER %s BEFORE UPDATE ON %s FOR EACH ROW %s", name, table, d.TriggerText(t))}
	}
	return append(d.DropTrigger(t), fmt.Sprintf("CREATE TRIGGER %s BEFORE UPDATE ON %s FOR EACH ROW %s", name, table, d.TriggerText(t)))
}

// DropTrigger gives the statements that remove the trigger, if it is there.
func (d Dialect) DropTrigger(t Trigger) []string {
	if d.Name != postgres {
		return []string{"DROP TRIGGER IF EXISTS " + d.QuoteTable(t.name())}
	}
	return []string{
		fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", postgresTrigger, d.QuoteTable(t.Table)),
		fmt.Sprintf("DROP FUNCTION IF EXISTS %s()", d.QuoteTable(t.name())),
	}
}

// TriggerText is the part of the trigger that the database keeps as it was written.
func (d Dialect) TriggerText(t Trigger) string {
	switch d.Name {
	case postgres:
		return d.postgresFunction(t)
	case mysql:
		return d.mysqlTrigger(t)
	}
	return d.sqliteTrigger(t, d.quote(t.name().Name))
}

// postgresFunction compares texts, for types such as json have no equality.
func (d Dialect) postgresFunction(t Trigger) string {
	return fmt.Sprintf(`
BEGIN
	IF NEW.%[1]s IS NOT DISTINCT FROM OLD.%[1]s AND (%[2]s) THEN
		NEW.%[1]s := %[3]s;
	END IF;
	RETURN NEW;
END `, d.quote(t.Version), t.anyChanged(d.changedInPostgres), t.Next)
}

// changedInPostgres knows that a column which the database computes is NULL in the new row until the triggers have run.
func (d Dialect) changedInPostgres(column WatchedColumn) string {
	changed := strings.ReplaceAll("CAST(NEW.% AS text) IS DISTINCT FROM CAST(OLD.% AS text)", "%", d.quote(column.Name))
	if !column.IsDerived {
		return changed
	}
	return fmt.Sprintf("%s AND (NEW.%s IS NOT NULL OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute "+
		"WHERE attrelid = TG_RELID AND attname = %s AND attgenerated <> ''))", changed, d.quote(column.Name), literal(column.Name))
}

// mysqlTrigger also compares bytes, for text is equal that differs in case. A column that is too narrow for the next
// version keeps its largest value where sql_mode is not strict: the version then goes on at 1.
func (d Dialect) mysqlTrigger(t Trigger) string {
	same := func(name string) string {
		return strings.ReplaceAll("(NEW.% <=> OLD.% AND CAST(NEW.% AS BINARY) <=> CAST(OLD.% AS BINARY))", "%", d.quote(name))
	}
	changed := t.anyChanged(func(column WatchedColumn) string { return "NOT " + same(column.Name) })
	advance := fmt.Sprintf("SET NEW.%s = %s; ", d.quote(t.Version), t.Next)
	if t.First != "" {
		advance += fmt.Sprintf("IF NEW.%[1]s <=> OLD.%[1]s THEN SET NEW.%[1]s = %[2]s; END IF; ", d.quote(t.Version), t.First)
	}
	return fmt.Sprintf("IF %s AND (%s) THEN %sEND IF", same(t.Version), changed, advance)
}

// sqliteTrigger writes the row once more. That changes nothing but the version, so that the trigger does not fire again
// where recursive_triggers is on.
func (d Dialect) sqliteTrigger(t Trigger, name string) string {
	row := "rowid = NEW.rowid"
	if len(t.Key) > 0 {
		parts := make([]string, len(t.Key))
		for i, name := range t.Key {
			parts[i] = strings.ReplaceAll("% IS NEW.%", "%", d.quote(name))
		}
		row = strings.Join(parts, " AND ")
	}
	changed := t.anyChanged(func(column WatchedColumn) string {
		return strings.ReplaceAll("NEW.% COLLATE BINARY IS NOT OLD.%", "%", d.quote(column.Name))
	})
	return fmt.Sprintf("CREATE TRIGGER %[1]s AFTER UPDATE ON %[2]s FOR EACH ROW WHEN NEW.%[3]s COLLATE BINARY IS OLD.%[3]s AND (%[4]s) "+
		"BEGIN UPDATE %[2]s SET %[3]s = %[5]s WHERE %[6]s; END",
		name, d.quote(t.Table.Name), d.quote(t.Version), changed, t.Next, row)
}

func (t Trigger) anyChanged(changed func(WatchedColumn) string) string {
	if len(t.Columns) == 0 {
		return "1 = 0"
	}
	parts := make([]string, len(t.Columns))
	for i, column := range t.Columns {
		parts[i] = changed(column)
	}
	return strings.Join(parts, " OR ")
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
