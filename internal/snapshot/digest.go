package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// digestSize is how many bytes of the SHA-256 a digest holds.
const digestSize = 16

// digest is the text of a snapshot: 128 bits over the compared columns, with their names. It is "" where one of them was not
// loaded.
func (p *Plan) digest(image *Image) string {
	sum := sha256.New()
	if image == nil {
		return ""
	}
	for _, column := range p.Compared {
		if !image.Has(column) {
			return ""
		}
		for _, part := range [][]byte{[]byte(p.Columns[column]), p.Dialect.Canonical(image.Types[column], image.Values[column])} {
			_ = binary.Write(sum, binary.BigEndian, uint64(len(part))) // so that no two lists of parts read the same
			_, _ = sum.Write(part)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:digestSize])
}
