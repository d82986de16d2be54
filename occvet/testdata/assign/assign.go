package assign

import (
	"context"

	"github.com/gorm-occ/occ"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"shop/models"
)

func reported(ctx context.Context, db *gorm.DB, p *models.Product, o models.Order, i *models.Invoice) {
	p.Version++                                                                             // want `Product.Version is counted by the plugin`
	o.Version += 1                                                                          // want `Order.Version is counted`
	i.Revision = i.Revision + 1                                                             // want `Invoice.Revision is counted`
	p.Version = occ.Version(p.Version + 1)                                                  // want `is counted`
	db.Model(p).Update("version", gorm.Expr("version + 1"))                                 // want `the plugin writes the next version of Product`
	db.Model(&models.Invoice{}).Where("id = 1").UpdateColumn("rev", gorm.Expr("rev + 1"))   // want `next version of Invoice`
	db.Model(p).Updates(map[string]any{"stock": 1, "version": gorm.Expr("version + ?", 1)}) // want `next version of Product`
	db.Model(p).Updates(map[string]interface{}{"stock": 1, "Version": p.Version + 1})       // want `compared with the row's, not stored`
	db.Model(p).Updates(models.Product{Stock: 1, Version: p.Version + 1})                   // want `compared with the row's`
	db.Table("products").Where("id = 1").UpdateColumn("version", gorm.Expr("version + 1"))  // want `next version of products`
	db.Table("plains").Where("id = 1").UpdateColumn("version", gorm.Expr("version + 1"))
	gorm.G[models.Product](db).Where("id = 1").Update(ctx, "version", clause.Expr{SQL: "version + 1"}) // want `next version of Product`
}

type form struct {
	Version int64
}

func fine(db *gorm.DB, p *models.Product, plain *models.Plain, f form) {
	p.Version = occ.Version(f.Version)
	p.Stock++
	f.Version++
	plain.Version++
	next := p.Version + 1
	_ = next
	db.Model(p).Updates(map[string]any{"stock": gorm.Expr("stock - 1"), "version": f.Version})
	db.Model(p).Updates(map[string]any{"version": p.Version})
	db.Model(plain).Update("version", gorm.Expr("version + 1"))
	p.Version++ //occvet:ignore a model that claims what it has not seen
}
