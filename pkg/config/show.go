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

// Usage prints the table of settings for --help, with the descriptions of the
// desc tags.
func Usage(w io.Writer, prefix string, spec any) error {
	settings, err := gather(prefix, spec)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tTYPE\tDEFAULT\tREQUIRED\tDESCRIPTION")
	for _, s := range settings {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n",
			s.key, s.typeName(), s.shownDefault(), s.shownRequired(), s.shownDescription())
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

func (s setting) shownRequired() string {
	if s.required() {
		return "yes"
	}
	return ""
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
