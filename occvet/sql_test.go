package occvet

import "testing"

// FuzzSQL wants every text to be taken apart without a panic, and to an end.
func FuzzSQL(f *testing.F) {
	for _, sql := range []string{
		"", "'", `"`, "`", "[", "/*", "--", ";", "UPDATE", "UPDATE a SET", "UPDATE a SET (", "UPDATE a.b SET c = )",
		"INSERT INTO", "INSERT OR REPLACE INTO", "REPLACE", "INSERT INTO a ON CONFLICT DO UPDATE", "UPDATE é SET ü = '\xff'", "a =", "version = ",
	} {
		f.Add(sql)
	}
	f.Fuzz(func(_ *testing.T, sql string) {
		_ = sqlWrites(sql)
		_ = namesColumn(sql, "version")
	})
}
