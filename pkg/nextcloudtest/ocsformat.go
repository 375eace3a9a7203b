package nextcloudtest

import (
	"strconv"
	"unicode/utf16"
)

// field and object are an OCS answer in its order; values are object, list,
// string, bool, int, int64, float64 or nil.
type field struct {
	key   string
	value any
}

type (
	object []field
	list   []any
)

// appendJSON writes as PHP's json_encode does: slashes and everything beyond
// ASCII are escaped.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case object:
		b = append(b, '{')
		for i, f := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, f.key), ':')
			b = appendJSON(b, f.value)
		}
		return append(b, '}')
	case list:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, item)
		}
		return append(b, ']')
	case string:
		return appendJSONString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case nil:
		return append(b, "null"...)
	default:
		return appendNumber(b, v)
	}
}

func appendNumber(b []byte, v any) []byte {
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	default:
		return append(b, '0')
	}
}

func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"', r == '\\', r == '/':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r >= ' ' && r < 0x7f:
			b = append(b, byte(r))
		case r >= 0x10000:
			hi, lo := utf16.EncodeRune(r)
			b = appendUnicode(appendUnicode(b, hi), lo)
		default:
			b = appendUnicode(b, r)
		}
	}
	return append(b, '"')
}

func appendUnicode(b []byte, r rune) []byte {
	return append(b, '\\', 'u', lowerHex[r>>12&15], lowerHex[r>>8&15], lowerHex[r>>4&15], lowerHex[r&15])
}

// appendXML writes the fields as elements: true is 1, false and "" are empty,
// null and the empty list have no content at all.
func appendXML(b []byte, fields object, indent string) []byte {
	for _, f := range fields {
		b = append(append(b, indent...), '<')
		b = append(b, f.key...)
		inner, text := xmlValue(f.value, indent)
		if inner == nil && !text {
			b = append(b, "/>\n"...)
			continue
		}
		b = append(append(b, '>'), inner...)
		b = append(append(append(b, "</"...), f.key...), ">\n"...)
	}
	return b
}

// xmlValue is the inside of an element; text says that it has an inside.
func xmlValue(v any, indent string) (inner []byte, text bool) {
	switch v := v.(type) {
	case object:
		return append(appendXML([]byte("\n"), v, indent+" "), indent...), true
	case list:
		if len(v) == 0 {
			return nil, false
		}
		items := make(object, 0, len(v))
		for _, item := range v {
			items = append(items, field{"element", item})
		}
		return append(appendXML([]byte("\n"), items, indent+" "), indent...), true
	case string:
		return appendText(nil, v), true
	case bool:
		if v {
			return []byte("1"), true
		}
		return nil, true
	case nil:
		return nil, false
	default:
		return appendNumber(nil, v), true
	}
}
