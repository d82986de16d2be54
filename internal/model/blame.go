package model

import (
	"gorm.io/gorm/schema"
)

// blameTag is the tag of columns that say who wrote a row, and when: `gorm:"blame"`.
const blameTag = "BLAME"

func isBlame(field *schema.Field) bool {
	_, tagged := field.TagSettings[blameTag]
	return tagged && field.DBName != ""
}
