package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/kelseyhightower/envconfig"
)

const fileSuffix = "_FILE"

// setting is one variable and the field it fills.
type setting struct {
	key   string // the variable's name
	name  string // the field's name
	value reflect.Value
	tags  reflect.StructTag
}

// gather lists the settings of a spec in its order. Envconfig shows what it
// found only to a usage template, so one is used that collects instead of
// printing: the rules for names stay envconfig's.
func gather(prefix string, spec any) ([]setting, error) {
	var settings []setting
	collect := func(info any) string {
		v := reflect.ValueOf(info)
		settings = append(settings, setting{
			key:   v.FieldByName("Key").String(),
			name:  v.FieldByName("Name").String(),
			value: v.FieldByName("Field").Interface().(reflect.Value),
			tags:  v.FieldByName("Tags").Interface().(reflect.StructTag),
		})
		return ""
	}
	walk, err := template.New("settings").
		Funcs(template.FuncMap{"collect": collect}).
		Parse(`{{range .}}{{collect .}}{{end}}`)
	if err != nil {
		return nil, fmt.Errorf("parse settings template: %w", err)
	}
	if err := envconfig.Usaget(prefix, spec, io.Discard, walk); err != nil {
		return nil, fmt.Errorf("read settings of %T: %w", spec, err)
	}
	return settings, nil
}

func (s setting) fallback() string { return s.tags.Get("default") }

func (s setting) required() bool {
	required, _ := strconv.ParseBool(s.tags.Get("required"))
	return required
}

func (s setting) secret() bool { return s.value.Type() == reflect.TypeFor[Secret]() }

// hidden says whether a value of the field must not be quoted, also when it is
// a list, a map or a pointer of secrets.
func (s setting) hidden() bool { return holdsSecret(s.value.Type()) }

func holdsSecret(t reflect.Type) bool {
	switch {
	case t == reflect.TypeFor[Secret]():
		return true
	case t.Kind() == reflect.Map:
		return holdsSecret(t.Key()) || holdsSecret(t.Elem())
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Slice:
		return holdsSecret(t.Elem())
	default:
		return false
	}
}

func (s setting) typeName() string { return typeName(s.value.Type()) }

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.String && t != reflect.TypeFor[Secret]():
		return "string" // whatever its name is in Go
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		return "list of " + typeName(t.Elem())
	case t.Kind() == reflect.Map:
		return "map of " + typeName(t.Key()) + ":" + typeName(t.Elem())
	case t.Name() != "":
		return strings.ToLower(t.Name())
	default:
		return t.String()
	}
}
