package occhttp

import "strings"

// tagList is what an If-Match or If-None-Match field says.
type tagList struct {
	any  bool // the field is *
	tags []entityTag
}

// entityTag is RFC 9110's entity-tag.
type entityTag struct {
	opaque Tag
	weak   bool
}

// parseTags reads the lines of an If-Match or If-None-Match field: "*" or a list of entity tags (RFC 9110, sections 5.6.1,
// 8.8.3 and 13.1.1). Several lines are one list; empty elements are skipped, as the RFC wants of recipients. ok is false
// where the lines are neither.
func parseTags(lines []string) (list tagList, ok bool) {
	if len(lines) == 1 && strings.Trim(lines[0], ows) == "*" {
		return tagList{any: true}, true
	}
	for _, line := range lines {
		tags, ok := parseLine(line)
		if !ok {
			return tagList{}, false
		}
		list.tags = append(list.tags, tags...)
	}
	return list, true
}

const ows = " \t" // OWS, optional white space

func parseLine(rest string) (tags []entityTag, ok bool) {
	for {
		rest = strings.TrimLeft(rest, ows)
		if rest != "" && rest[0] != ',' {
			var tag entityTag
			if tag, rest, ok = cutTag(rest); !ok {
				return nil, false
			}
			tags = append(tags, tag)
			rest = strings.TrimLeft(rest, ows)
		}
		if rest == "" {
			return tags, true
		}
		if rest[0] != ',' {
			return nil, false
		}
		rest = rest[1:]
	}
}

// cutTag reads the entity tag at the beginning of text. The weak sign is a capital W.
func cutTag(text string) (tag entityTag, rest string, ok bool) {
	text, tag.weak = strings.CutPrefix(text, "W/")
	text, ok = strings.CutPrefix(text, `"`)
	if !ok {
		return entityTag{}, "", false
	}
	end := 0
	for end < len(text) && isOpaque(text[end]) {
		end++
	}
	if end == len(text) || text[end] != '"' {
		return entityTag{}, "", false
	}
	tag.opaque = Tag(text[:end])
	return tag, text[end+1:], true
}

// isOpaque reports whether an entity tag may hold a byte: RFC 9110's etagc, which is visible ASCII but for the quote, and
// every byte from 0x80 on.
func isOpaque(c byte) bool { return c > ' ' && c != '"' && c != 0x7f }
