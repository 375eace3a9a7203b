package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Setting is one variable as its reader sees it.
type Setting struct {
	Name, Type  string
	Default     string // *** where it is secret
	Required    bool
	Description string // of the desc tag, and for a Secret that it may come from a file
}

// Describe lists the settings of a spec in its order.
func Describe(prefix string, spec any) ([]Setting, error) {
	found, err := gather(prefix, spec)
	if err != nil {
		return nil, err
	}
	settings := make([]Setting, 0, len(found))
	for _, s := range found {
		settings = append(settings, Setting{
			Name: s.key, Type: s.typeName(), Default: s.shownDefault(), Required: s.required(), Description: s.shownDescription(),
		})
	}
	return settings, nil
}

// Usage prints the table of settings for --help.
func Usage(w io.Writer, prefix string, spec any) error {
	settings, err := Describe(prefix, spec)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tTYPE\tDEFAULT\tREQUIRED\tDESCRIPTION")
	for _, s := range settings {
		required := ""
		if s.Required {
			required = "yes"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.Name, s.Type, s.Default, required, s.Description)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	return nil
}

func (s setting) shownDefault() string {
	if s.hidden() && s.fallback() != "" {
		return redacted
	}
	return s.fallback()
}

func (s setting) shownDescription() string {
	desc := s.tags.Get("desc")
	if s.secret() {
		return strings.TrimSpace(desc + " (or a file's path in " + s.key + fileSuffix + ")")
	}
	return desc
}

// Redacted gives the settings as a group for the start log. Secrets show only
// whether they are set, and URLs lose their password.
func Redacted(prefix string, spec any) slog.Value {
	settings, err := gather(prefix, spec)
	if err != nil {
		return slog.StringValue(err.Error())
	}
	attrs := make([]slog.Attr, 0, len(settings))
	for _, s := range settings {
		attrs = append(attrs, slog.String(s.key, s.shownValue()))
	}
	return slog.GroupValue(attrs...)
}

func (s setting) shownValue() string {
	v := reflect.Indirect(s.value)
	switch {
	case !v.IsValid() || s.hidden() && v.IsZero():
		return ""
	case s.hidden():
		return redacted
	}
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(*url.URL); ok {
			return u.Redacted()
		}
	}
	return withoutPassword(fmt.Sprint(v.Interface()))
}

// withoutPassword guards against a URL with a password in a plain string.
func withoutPassword(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	return u.Redacted()
}
