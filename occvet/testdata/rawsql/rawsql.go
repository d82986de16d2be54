package rawsql

import (
	"context"
	"database/sql"
	"fmt"

	"gorm.io/gorm"

	"shop/models"
)

const update = "UPDATE products SET stock = 0"

var _ models.Product

func reported(ctx context.Context, db *gorm.DB, pool *sql.DB) {
	db.Exec("UPDATE products SET stock = stock - 1 WHERE id = ?", 1)                                // want `this SQL writes products and leaves version alone: set it too`
	db.Exec(update)                                                                                 // want `writes products`
	db.Exec("/* job */ update `products` p set p.stock = 0, p.name = 'version = 1' -- version = 2") // want `writes products`
	db.Exec("DELETE FROM logs; UPDATE ONLY public.\"products\" SET (stock, name) = (1, 'x')")       // want `writes products`
	db.Exec("INSERT INTO products (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET stock = 1")        // want `writes products`
	db.Exec("INSERT INTO products (id) VALUES (1) ON DUPLICATE KEY UPDATE stock = VALUES(stock)")   // want `writes products`
	db.Exec("REPLACE INTO products (id) VALUES (1)")                                                // want `REPLACE starts every row anew`
	db.Exec("INSERT OR REPLACE INTO products (id) VALUES (1)")                                      // want `REPLACE starts every row anew`
	db.Raw("WITH x AS (UPDATE invoices SET total = 1 RETURNING id) SELECT * FROM x")                // want `writes invoices and leaves rev alone`
	pool.ExecContext(ctx, "UPDATE orders_2026 SET state = 'paid'")                                  // want `writes shop.orders_2026`
	statement := "UPDATE products SET stock = 5"
	db.Exec(statement)                                                    // want `writes products`
	gorm.G[models.Product](db).Exec(ctx, "UPDATE products SET stock = 1") // want `writes products`
}

func fine(ctx context.Context, db *gorm.DB, pool *sql.DB) {
	db.Exec("UPDATE products SET stock = stock - 1, version = version + 1 WHERE id = ?", 1)
	db.Exec("UPDATE products AS p SET (stock, version) = (1, p.version + 1)")
	db.Exec(`UPDATE "products" SET "version" = "version" + 1, stock = (SELECT 1 FROM x WHERE y = 1)`)
	db.Exec("UPDATE products SET views = views + 1")
	db.Exec("INSERT INTO products (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET stock = 1, version = products.version + 1")
	db.Exec("INSERT INTO products (id) VALUES (1) ON CONFLICT DO NOTHING")
	db.Exec("DELETE FROM products WHERE id = 1")
	db.Exec("SELECT * FROM products FOR UPDATE")
	db.Exec("CREATE TRIGGER t BEFORE UPDATE ON products BEGIN UPDATE products SET stock = 1; END")
	db.Exec("UPDATE plains SET stock = 1")
	db.Exec("UPDATE prices SET amount = 1")
	db.Exec("UPDATE rows SET id = 1")
	db.Exec("UPDATE auditeds SET text = ''")
	db.Exec(fmt.Sprintf("UPDATE %s SET stock = 1", "products"))
	fmt.Println("UPDATE products SET stock = 1")
	db.Exec("UPDATE products SET stock = 0") //occvet:ignore runs while the shop is closed
	db.Exec("")
	db.Exec("'")
	db.Exec("UPDATE")
}
