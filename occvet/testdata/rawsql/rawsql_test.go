package rawsql

import "gorm.io/gorm"

func anotherProgram(db *gorm.DB) { db.Exec("UPDATE products SET stock = 0") }
