package occ

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// digestSize is how many bytes of the SHA-256 a digest holds.
const digestSize = 16

// digest is the text of a snapshot: 128 bits over the compared columns, with their names. It is "" where one of them was not
// loaded.
func (p *snapshotPlan) digest(image *rowImage) string {
	sum := sha256.New()
	if image == nil {
		return ""
	}
	for _, column := range p.compared {
		if !image.has(column) {
			return ""
		}
		for _, part := range [][]byte{[]byte(p.columns[column]), p.dialect.Canonical(image.types[column], image.values[column])} {
			_ = binary.Write(sum, binary.BigEndian, uint64(len(part))) // so that no two lists of parts read the same
			_, _ = sum.Write(part)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:digestSize])
}
