package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// Validator is a spec with rules that span a field's type: Load calls it after
// the fields are read, also when some were faulty and hold their zero value.
// Several faults are joined with errors.Join.
type Validator interface {
	Validate() error
}

// FaultsError lists everything that is wrong with the settings. It holds no
// value of a Secret.
type FaultsError struct {
	Faults []error
}

// Error puts each fault on a line of its own.
func (e *FaultsError) Error() string {
	lines := make([]string, 0, len(e.Faults)+1)
	lines = append(lines, fmt.Sprintf("faulty settings (%d):", len(e.Faults)))
	for _, fault := range e.Faults {
		lines = append(lines, "  "+fault.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single faults.
func (e *FaultsError) Unwrap() []error { return e.Faults }

// Load fills spec, a pointer to a struct with envconfig's tags, from variables
// that start with the prefix. A Secret NAME may be given as NAME_FILE, the path
// of a file that holds it. Faults come together in one *FaultsError.
func Load(prefix string, spec any) error {
	settings, err := gather(prefix, spec)
	if err != nil {
		return err
	}
	var faults []error
	for _, s := range settings {
		if err := s.load(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", s.key, err))
		}
	}
	if v, ok := spec.(Validator); ok {
		faults = append(faults, split(v.Validate())...)
	}
	if len(faults) > 0 {
		return &FaultsError{Faults: faults}
	}
	return nil
}

func (s setting) load() error {
	if s.secret() {
		path, given := os.LookupEnv(s.key + fileSuffix)
		if given && path != "" {
			return s.loadFile(path)
		}
	}
	if value, given := os.LookupEnv(s.key); given && value == "" && s.required() {
		return errMissing
	}
	return s.loadVariable()
}

func (s setting) loadFile(path string) error {
	if os.Getenv(s.key) != "" {
		return fmt.Errorf("given twice, also as %s", s.key+fileSuffix)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.key+fileSuffix, err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if value == "" && s.required() {
		return fmt.Errorf("the file of %s is empty", s.key+fileSuffix)
	}
	s.value.SetString(value)
	return nil
}

// loadVariable hands envconfig a struct of this one field, because it stops at
// the first fault of a larger one.
func (s setting) loadVariable() error {
	tag := fmt.Sprintf(`envconfig:%q default:%q required:"%t"`, s.key, s.fallback(), s.required())
	one := reflect.New(reflect.StructOf([]reflect.StructField{{
		Name: s.name,
		Type: s.value.Type(),
		Tag:  reflect.StructTag(tag),
	}}))
	if err := envconfig.Process("", one.Interface()); err != nil {
		return s.explain(err)
	}
	if _, given := os.LookupEnv(s.key); given || s.fallback() != "" {
		s.value.Set(one.Elem().Field(0))
	}
	return nil
}

var errMissing = errors.New("required, but not set")

// explain rewords envconfig's errors: they quote the value and name Go fields.
func (s setting) explain(err error) error {
	var parse *envconfig.ParseError
	switch {
	case !errors.As(err, &parse):
		return errMissing
	case s.hidden():
		return fmt.Errorf("not a %s", s.typeName())
	default:
		return fmt.Errorf("not a %s: %w", s.typeName(), parse.Err)
	}
}

// split takes joined errors apart, however deep they are joined.
func split(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var single []error
	for _, e := range many.Unwrap() {
		single = append(single, split(e)...)
	}
	return single
}
