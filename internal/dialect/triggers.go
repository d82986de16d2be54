package dialect

import (
	"fmt"
	"strings"
)

// Trigger has rows take their next version when an UPDATE changes them and leaves the version alone. Names come quoted.
type Trigger struct {
	Table     string   // with its schema
	Unsourced string   // the table without its schema, as SQLite wants it inside a trigger
	Name      string   // of the trigger, or of its function on PostgreSQL, with the table's schema
	Version   string   // the column of the version
	Columns   []string // whose change makes a new version
	Key       []string // by which a row is found; empty: there is none
	Next      string   // the version after OLD's
}

// CreateTrigger gives the statements that create the trigger, or replace it.
func (d Dialect) CreateTrigger(t Trigger) []string {
	switch d.Name {
	case postgres:
		return t.createOnPostgres()
	case mysql:
		return t.createOnMySQL(d.ValuesRow == "")
	case sqlite:
		return append(d.DropTrigger(t), t.createOnSQLite())
	}
	return nil
}

// DropTrigger gives the statements that remove the trigger, if it is there.
func (d Dialect) DropTrigger(t Trigger) []string {
	if d.Name == postgres {
		return []string{
			fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", postgresTrigger, t.Table),
			fmt.Sprintf("DROP FUNCTION IF EXISTS %s()", t.Name),
		}
	}
	return []string{"DROP TRIGGER IF EXISTS " + t.Name}
}

// StoredTrigger is a query for the text of the trigger of a name, where the database keeps it as it was written; else empty.
func (d Dialect) StoredTrigger() string {
	if d.Name == sqlite {
		return "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?"
	}
	return ""
}

// HasTriggers tells the databases whose triggers are known.
func (d Dialect) HasTriggers() bool { return d.Name == postgres || d.Name == mysql || d.Name == sqlite }

// DDLInTransactions: a statement that changes the schema can be rolled back; elsewhere it commits what went before.
func (d Dialect) DDLInTransactions() bool { return d.Name != mysql }

// postgresTrigger is the trigger's name, which is the table's own on PostgreSQL.
const postgresTrigger = "occ_version"

// createOnPostgres compares texts, for types such as json have no equality. The trigger is left alone if it is there: to
// create it locks the table.
func (t Trigger) createOnPostgres() []string {
	function := fmt.Sprintf(`CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $occ$
BEGIN
	IF NEW.%s IS NOT DISTINCT FROM OLD.%[2]s AND (%s) THEN
		NEW.%[2]s := %[4]s;
	END IF;
	RETURN NEW;
END $occ$`, t.Name, t.Version, t.anyChanged("CAST(NEW.%[1]s AS text) IS DISTINCT FROM CAST(OLD.%[1]s AS text)"), t.Next)
	trigger := fmt.Sprintf(`DO $do$
BEGIN
	IF NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = CAST(%s AS regclass) AND tgname = '%s') THEN
		CREATE TRIGGER %[2]s BEFORE UPDATE ON %[3]s FOR EACH ROW EXECUTE FUNCTION %[4]s();
	END IF;
END $do$`, literal(t.Table), postgresTrigger, t.Table, t.Name)
	return []string{function, trigger}
}

// createOnMySQL also compares bytes, for text is equal that differs in case. MariaDB replaces a trigger in one step.
func (t Trigger) createOnMySQL(replaces bool) []string {
	const same = "(NEW.%[1]s <=> OLD.%[1]s AND CAST(NEW.%[1]s AS BINARY) <=> CAST(OLD.%[1]s AS BINARY))"
	body := fmt.Sprintf("BEFORE UPDATE ON %s FOR EACH ROW IF %s AND (%s) THEN SET NEW.%s = %s; END IF",
		t.Table, fmt.Sprintf(same, t.Version), t.anyChanged("NOT "+same), t.Version, t.Next)
	if replaces {
		return []string{fmt.Sprintf("CREATE OR REPLACE TRIGGER %s %s", t.Name, body)}
	}
	return []string{"DROP TRIGGER IF EXISTS " + t.Name, fmt.Sprintf("CREATE TRIGGER %s %s", t.Name, body)}
}

// createOnSQLite writes the row once more. That changes nothing but the version, so that the trigger does not fire again
// where recursive_triggers is on.
func (t Trigger) createOnSQLite() string {
	const changed = "NEW.%[1]s COLLATE BINARY IS NOT OLD.%[1]s"
	row := "rowid = NEW.rowid"
	if len(t.Key) > 0 {
		row = t.each("%[1]s IS NEW.%[1]s", " AND ", t.Key)
	}
	return fmt.Sprintf("CREATE TRIGGER %[1]s AFTER UPDATE ON %[2]s FOR EACH ROW WHEN NEW.%[3]s COLLATE BINARY IS OLD.%[3]s AND (%[4]s) "+
		"BEGIN UPDATE %[2]s SET %[3]s = %[5]s WHERE %[6]s; END",
		t.Name, t.Unsourced, t.Version, t.anyChanged(changed), t.Next, row)
}

func (t Trigger) anyChanged(condition string) string {
	if len(t.Columns) == 0 {
		return "1 = 0"
	}
	return t.each(condition, " OR ", t.Columns)
}

func (t Trigger) each(format, and string, columns []string) string {
	parts := make([]string, len(columns))
	for i, column := range columns {
		parts[i] = fmt.Sprintf(format, column)
	}
	return strings.Join(parts, and)
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
