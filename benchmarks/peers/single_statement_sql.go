package peers

import "encoding/json"

var sqliteValues = batchSQL{
	name: "VALUES", most: 32766 / 5, affected: rowByRow, args: flat,
	query: func(table string, n int) string {
		return "WITH d(id, name, price, stock, version) AS (VALUES " + lists(n) + ") UPDATE " + table +
			" SET name = d.name, price = d.price, stock = d.stock, version = d.version + 1" +
			" FROM d WHERE " + table + ".id = d.id AND " + table + ".version = d.version"
	},
}

var sqliteJSON = batchSQL{
	name: "json_each", affected: rowByRow, args: asJSON,
	query: func(table string, _ int) string {
		return "UPDATE " + table + " SET name = d.name, price = d.price, stock = d.stock, version = d.version + 1 FROM (SELECT" +
			" value->>0 AS id, value->>1 AS name, value->>2 AS price, value->>3 AS stock, value->>4 AS version" +
			" FROM json_each(?)) AS d WHERE " + table + ".id = d.id AND " + table + ".version = d.version"
	},
}

var postgresUnnest = batchSQL{
	name: "unnest", affected: rowByRow, args: asColumns,
	query: func(table string, _ int) string {
		return "UPDATE " + table + " SET name = d.name, price = d.price, stock = d.stock, version = d.version + 1" +
			" FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])" +
			" AS d(id, name, price, stock, version) WHERE " + table + ".id = d.id AND " + table + ".version = d.version"
	},
}

const mariadbJoin = " AS d ON t.id = d.id AND t.version = d.version" +
	" SET t.name = d.name, t.price = d.price, t.stock = d.stock, t.version = d.version + 1"

var mariadbJSON = batchSQL{
	name: "JSON_TABLE", affected: rowByRow, args: asJSON,
	query: func(table string, _ int) string {
		return "UPDATE " + table + " AS t JOIN JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$[0]', name VARCHAR(64) PATH '$[1]'," +
			" price BIGINT PATH '$[2]', stock BIGINT PATH '$[3]', version BIGINT PATH '$[4]'))" + mariadbJoin
	},
}

var mariadbUnion = batchSQL{
	name: "UPDATE JOIN VALUES", most: 65535 / 5, affected: rowByRow, args: flat,
	query: func(table string, n int) string {
		return "UPDATE " + table + " AS t JOIN (SELECT id, name, price, stock, version FROM " + table +
			" WHERE 1 = 0 UNION ALL VALUES " + lists(n) + ")" + mariadbJoin
	},
}

// mariadbOnDuplicate assigns from left to right, so the version comes last. It affects two rows for each that it
// changes and one for each that it inserts because it is gone: a smaller sum is rolled back.
var mariadbOnDuplicate = batchSQL{
	name: "ON DUPLICATE KEY UPDATE", most: 65535 / 5, args: flat,
	affected: func(n int) int64 { return 2 * int64(n) },
	query: func(table string, n int) string {
		const compared = "IF(version = VALUES(version), VALUES("
		return "INSERT INTO " + table + " (id, name, price, stock, version) VALUES " + lists(n) + " ON DUPLICATE KEY UPDATE" +
			" name = " + compared + "name), name), price = " + compared + "price), price)," +
			" stock = " + compared + "stock), stock), version = IF(version = VALUES(version), version + 1, version)"
	},
}

// asJSON is one argument: an array of arrays.
func asJSON(batch []batchRow) ([]any, error) {
	list := make([][5]any, len(batch))
	for i, r := range batch {
		list[i] = [5]any{r.ID, r.Name, r.Price, r.Stock, r.Version}
	}
	text, err := json.Marshal(list)
	return []any{string(text)}, err
}

// asColumns is an array for each column.
func asColumns(batch []batchRow) ([]any, error) {
	n := len(batch)
	ids, names, prices, stocks, versions :=
		make([]int64, n), make([]string, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range batch {
		ids[i], names[i], prices[i], stocks[i], versions[i] = r.ID, r.Name, r.Price, r.Stock, r.Version
	}
	return []any{ids, names, prices, stocks, versions}, nil
}
