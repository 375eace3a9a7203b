package cozytest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// matches evaluates the operators of a selector that clients of the stack use.
func matches(selector, fields map[string]any) bool {
	for name, want := range selector {
		switch name {
		case "$and", "$or":
			if !matchesSome(name, want, fields) {
				return false
			}
		default:
			value, ok := lookup(fields, name)
			if !matchesField(want, value, ok) {
				return false
			}
		}
	}
	return true
}

func matchesSome(operator string, want any, fields map[string]any) bool {
	list, _ := want.([]any)
	all := operator == "$and"
	for _, item := range list {
		selector, _ := item.(map[string]any)
		if matches(selector, fields) != all {
			return !all
		}
	}
	return all
}

func lookup(fields map[string]any, name string) (any, bool) {
	head, tail, nested := strings.Cut(name, ".")
	value, ok := fields[head]
	if !nested || !ok {
		return value, ok
	}
	inner, _ := value.(map[string]any)
	return lookup(inner, tail)
}

func matchesField(want, value any, present bool) bool {
	operators, ok := want.(map[string]any)
	if !ok || len(operators) == 0 {
		return present && compareValues(value, want) == 0
	}
	for operator, operand := range operators {
		if !matchesOperator(operator, operand, value, present) {
			return false
		}
	}
	return true
}

func matchesOperator(operator string, operand, value any, present bool) bool {
	order := compareValues(value, operand)
	oneOf := func() bool {
		list, _ := operand.([]any)
		return slices.ContainsFunc(list, func(item any) bool { return compareValues(value, item) == 0 })
	}
	switch operator {
	case "$exists":
		return operand == present
	case "$ne":
		return order != 0
	case "$nin":
		return !oneOf()
	case "$in":
		return present && oneOf()
	case "$eq":
		return present && order == 0
	case "$gt":
		return present && order > 0
	case "$gte":
		return present && order >= 0
	case "$lt":
		return present && order < 0
	case "$lte":
		return present && order <= 0
	default:
		return false
	}
}

// compareValues orders as the database does: null, booleans, numbers, text,
// the rest.
func compareValues(a, b any) int {
	if d := cmp.Compare(rank(a), rank(b)); d != 0 {
		return d
	}
	switch x := plain(a).(type) {
	case float64:
		y, _ := plain(b).(float64)
		return cmp.Compare(x, y)
	case string:
		y, _ := b.(string)
		return strings.Compare(x, y)
	default:
		left, _ := json.Marshal(a)
		right, _ := json.Marshal(b)
		return strings.Compare(string(left), string(right))
	}
}

func rank(v any) int {
	switch plain(v).(type) {
	case nil:
		return 0
	case bool:
		return 1
	case float64:
		return 2
	case string:
		return 3
	default:
		return 4
	}
}

func plain(v any) any {
	if number, ok := v.(json.Number); ok {
		f, _ := number.Float64()
		return f
	}
	return v
}
